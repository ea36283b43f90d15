package pack_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference/pack"
)

// ensemble is a manifest of three looks: two models, one of them at two crops.
func ensemble(t *testing.T) pack.Manifest {
	t.Helper()
	m := builtin(t)["yunet-minifasnet-2"]
	m.ID = "mine"
	wide := m.Scorers[0]
	wide.CropScale = 4
	m.Scorers = append(m.Scorers[:2:2], wide)
	return m
}

func parse(t *testing.T, m pack.Manifest) (pack.Manifest, error) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return pack.Parse(text)
}

func mustParse(t *testing.T, m pack.Manifest) pack.Manifest {
	t.Helper()
	m, err := parse(t, m)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLikelihood(t *testing.T) {
	t.Parallel()
	live := []float64{0.9, 0.5, 0.2}
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	sigmoid := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	for name, tc := range map[string]struct {
		change func(m *pack.Manifest)
		live   []float64
		want   float64
	}{
		"mean":       {func(*pack.Manifest) {}, live, 1 - (0.9+0.5+0.2)/3},
		"named mean": {func(m *pack.Manifest) { m.Fusion = pack.Mean }, live, 1 - (0.9+0.5+0.2)/3},
		"weights":    {func(m *pack.Manifest) { m.Scorers[0].Weight = new(float64(2)) }, live, 1 - (2*0.9+0.5+0.2)/4},
		"logit mean": {func(m *pack.Manifest) { m.Fusion = pack.LogitMean }, live, 1 - sigmoid((logit(0.9)+logit(0.5)+logit(0.2))/3)},
		"weighted logit mean": {
			func(m *pack.Manifest) { m.Fusion, m.Scorers[2].Weight = pack.LogitMean, new(0.5) }, live,
			1 - sigmoid((logit(0.9)+logit(0.5)+logit(0.2)/2)/2.5),
		},
		// A scorer that is certain does not outvote all others for ever.
		"certain": {func(m *pack.Manifest) { m.Fusion = pack.LogitMean }, []float64{1, 1, 0}, 1 - sigmoid(logit(1-1e-6)/3)},
		"calibrated": {
			func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.4, 0.15}, {1, 1}} }, []float64{0.9, 0.9, 0.9}, 0.0375,
		},
	} {
		m := ensemble(t)
		tc.change(&m)
		if got := mustParse(t, m).Likelihood(tc.live); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestCalibration(t *testing.T) {
	t.Parallel()
	c := pack.Calibration{{0, 0}, {0.3, 0.15}, {0.5, 0.6}, {1, 1}}
	for from, to := range map[float64]float64{0: 0, 0.1: 0.05, 0.3: 0.15, 0.4: 0.375, 0.5: 0.6, 0.75: 0.8, 1: 1} {
		if got := c.Apply(from); math.Abs(got-to) > 1e-15 {
			t.Errorf("%v becomes %v, want %v", from, got, to)
		}
	}
	if got := c.Apply(0.3); got != 0.15 {
		t.Errorf("the threshold becomes %v, not exactly 0.15", got)
	}
	if got := pack.Calibration(nil).Apply(0.345); got != 0.345 {
		t.Errorf("without points 0.345 becomes %v", got)
	}
	if got := (pack.Calibration{{0, 0}, {1, 1}}).Apply(0.25); got != 0.25 {
		t.Errorf("with the two ends alone 0.25 becomes %v", got)
	}
	for last, v := 0.0, 0.001; v <= 1; v += 0.001 {
		got := c.Apply(v)
		if got <= last {
			t.Fatalf("%v becomes %v, no more than a smaller one", v, got)
		}
		last = got
	}
}

// What judges in another way has another id, whatever the manifest calls it, so that events tell the two apart.
func TestJudgingChangesTheID(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for name, change := range map[string]func(m *pack.Manifest){
		"plain":              func(m *pack.Manifest) { m.Scorers = m.Scorers[:2] },
		"a second crop":      func(*pack.Manifest) {},
		"another crop":       func(m *pack.Manifest) { m.Scorers[2].CropScale = 1.5 },
		"mirrored":           func(m *pack.Manifest) { m.Scorers[2].Mirrored = true },
		"exposed":            func(m *pack.Manifest) { m.Scorers[2].Expose = 110 },
		"a weight":           func(m *pack.Manifest) { m.Scorers[2].Weight = new(0.5) },
		"another weight":     func(m *pack.Manifest) { m.Scorers[2].Weight = new(0.25) },
		"logit mean":         func(m *pack.Manifest) { m.Fusion = pack.LogitMean },
		"a calibration":      func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.3, 0.15}, {1, 1}} },
		"another":            func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.31, 0.15}, {1, 1}} },
		"a different order":  func(m *pack.Manifest) { m.Scorers[0], m.Scorers[1] = m.Scorers[1], m.Scorers[0] },
		"mirrored but plain": func(m *pack.Manifest) { m.Scorers = m.Scorers[:2]; m.Scorers[0].Mirrored = true },
	} {
		m := ensemble(t)
		change(&m)
		parsed := mustParse(t, m)
		if other := ids[parsed.ID]; other != "" {
			t.Errorf("%q and %q are both %s", name, other, parsed.ID)
		}
		ids[parsed.ID] = name
		if plain := name == "plain"; plain != (parsed.ID == "mine") || !strings.HasPrefix(parsed.ID, "mine") {
			t.Errorf("%s: the id is %q", name, parsed.ID)
		}
		// Written out and read again it is the same.
		if again := mustParse(t, parsed); again.ID != parsed.ID {
			t.Errorf("%s: read again the id is %q, not %q", name, again.ID, parsed.ID)
		}
		// A copy that was changed is found out.
		if name != "plain" {
			parsed.Scorers[0].CropScale++
			if _, err := parse(t, parsed); err == nil || !strings.Contains(err.Error(), `write the id as "mine"`) {
				t.Errorf("%s: a changed copy: %v", name, err)
			}
		}
	}
	// Said in other words it is the same judging.
	one, other := ensemble(t), ensemble(t)
	other.Fusion = pack.Mean
	for i := range other.Scorers {
		other.Scorers[i].Weight = new(float64(1))
	}
	if a, b := mustParse(t, one).ID, mustParse(t, other).ID; a != b {
		t.Errorf("the defaults written out: %s, not %s", b, a)
	}
}

func TestParseRefusesJudgingThatMeansNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(m *pack.Manifest)
		want   string
	}{
		"unknown fusion":        {func(m *pack.Manifest) { m.Fusion = "median" }, `use "mean"`},
		"weight of zero":        {func(m *pack.Manifest) { m.Scorers[0].Weight = new(float64(0)) }, "leave the scorer out"},
		"negative weight":       {func(m *pack.Manifest) { m.Scorers[0].Weight = new(float64(-1)) }, "leave the scorer out"},
		"immense weight":        {func(m *pack.Manifest) { m.Scorers[0].Weight = new(float64(1001)) }, "up to 1000"},
		"one point":             {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}} }, "the last [1, 1]"},
		"not from the start":    {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0.1, 0}, {1, 1}} }, "the first point is [0, 0]"},
		"raised at the start":   {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0.1}, {1, 1}} }, "the first point is [0, 0]"},
		"not to the end":        {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.9, 1}} }, "the last [1, 1]"},
		"below the end":         {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {1, 0.9}} }, "the last [1, 1]"},
		"falling":               {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.4, 0.5}, {0.6, 0.4}, {1, 1}} }, "have to rise"},
		"level":                 {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.4, 0.5}, {0.6, 0.5}, {1, 1}} }, "have to rise"},
		"backwards":             {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.4, 0.5}, {0.4, 0.6}, {1, 1}} }, "have to rise"},
		"three numbers":         {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.4, 0.5, 0.6}, {1, 1}} }, "each has two"},
		"one number":            {func(m *pack.Manifest) { m.Calibration = pack.Calibration{{0, 0}, {0.4}, {1, 1}} }, "each has two"},
		"the digest of another": {func(m *pack.Manifest) { m.ID = "mine+00000000" }, `write the id as "mine"`},
		"no name":               {func(m *pack.Manifest) { m.ID = "+" }, "no name"},
	} {
		m := ensemble(t)
		tc.change(&m)
		if _, err := parse(t, m); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want it to say %q", name, err, tc.want)
		}
	}
	m := ensemble(t)
	m.Scorers[0].Weight = new(float64(1000))
	mustParse(t, m)
}

// The pack of a mean of three is calibrated so that its operating point is that of every pack.
func TestBuiltPackHasTheCommonOperatingPoint(t *testing.T) {
	t.Parallel()
	for id, m := range builtin(t) {
		if m.Threshold != 0.15 {
			t.Errorf("%s: the threshold is %v", id, m.Threshold)
		}
		if !strings.HasPrefix(id, pack.BuiltID+"+") {
			continue
		}
		live := 1 - 0.345
		if got := m.Likelihood([]float64{live, live, live}); math.Abs(got-0.15) > 1e-12 {
			t.Errorf("%s: 0.345 becomes %v", id, got)
		}
	}
}

func TestBuildWithoutItsModelsWritesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	base := pack.Pack{Manifest: builtin(t)[pack.DefaultID], Dir: t.TempDir()}
	if _, err := pack.Build(dir, base, nil); err == nil {
		t.Error("a pack without models was built")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory was made for a pack that could not be built")
	}
}

func TestGain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expose, brightness, want float64 }{
		{0, 10, 1}, {110, 200, 1}, {110, 110, 1}, {110, 100, 1.1}, {110, 55, 2}, {110, 20, pack.MaxGain}, {110, 0, pack.MaxGain},
	} {
		if got := (pack.Scorer{Expose: c.expose}).Gain(c.brightness); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("to %v from %v: %v, want %v", c.expose, c.brightness, got, c.want)
		}
	}
}
