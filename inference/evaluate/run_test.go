package evaluate

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// brightPack judges by the brightness of the left top pixel, which needs no models: the brighter, the more a fake. Black has
// no face.
func brightPack(calls *atomic.Int64) Pack {
	return Pack{Name: "bright", ID: "bright-1", Hash: "0123", Decoder: "go", Threshold: 0.5, Workers: 2,
		Check: func(ctx context.Context, data []byte, format decode.Format) (inference.Result, error) {
			calls.Add(1)
			m, err := upright(ctx, decode.NewStdlib(decode.Limits{}), data, 1<<20)
			if err != nil {
				return inference.Result{}, err
			}
			shade := m.RGBAAt(0, 0).R
			if shade == 0 {
				return inference.Result{}, inference.ErrNoFace
			}
			return inference.Result{FakeLikelihood: float64(shade) / 255, ValidFace: shade > 20, Brightness: float64(shade),
				Face: inference.Box{X: 10, Y: 10, W: 20, H: 20}, Faces: 1, ImageWidth: m.Rect.Dx(), ImageHeight: m.Rect.Dy(),
				Timings: inference.Timings{Total: 5 * time.Millisecond}}, nil
		}}
}

// shades makes a collection of pictures of one shade each, the file name saying which.
func shades(t *testing.T, manifest string) Collection {
	t.Helper()
	dir := lay(t, map[string]string{"manifest.csv": "file,label,attack,subject,set\n" + manifest})
	for line := range strings.Lines(manifest) {
		name, _, _ := strings.Cut(line, ",")
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		var shade uint8
		if _, err := fmt.Sscanf(filepath.Base(name), "%d", &shade); err != nil {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("no picture"), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		m := image.NewRGBA(image.Rect(0, 0, 40, 40))
		draw.Draw(m, m.Rect, image.NewUniform(color.Gray{Y: shade}), image.Point{}, draw.Src)
		m.SetRGBA(39, 39, color.RGBA{1, 2, uint8(len(name)), 255}) // unlike others of its shade
		data, err := encodePNG(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ReadCollection(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func journal(t *testing.T, name, program string) *Journal {
	t.Helper()
	j, err := OpenJournal(name, program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

const fewShades = "10.png,live,,a,s\n30.png,live,,a,s\n200.png,live,,b,s\n0.png,live,,b,s\n100.png,fake,print,c,s\n220.png,fake,print,c,s\n250.png,fake,screen,d,s\nbroken.jpg,fake,screen,d,s\n"

func TestRunGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	c := shades(t, fewShades)
	file := filepath.Join(t.TempDir(), "journal")
	var calls atomic.Int64
	pack := brightPack(&calls)
	steps := func(Pack, int, int) {}

	// The first run ends after three pictures.
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := pack
	interrupted.Workers = 1
	interrupted.Check = func(ctx context.Context, data []byte, format decode.Format) (inference.Result, error) {
		if calls.Load() == 3 {
			cancel()
			return inference.Result{}, ctx.Err()
		}
		return pack.Check(ctx, data, format)
	}
	first := journal(t, file, "program")
	if _, err := (&Run{Journal: first, Progress: steps}).Judge(ctx, c, interrupted); !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted run returns %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A crash tears the line that is being written.
	torn, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString(`{"program":"program","pack":"012`); err != nil || torn.Close() != nil {
		t.Fatal(err)
	}

	var last, all atomic.Int64
	run := Run{Journal: journal(t, file, "program"), Stability: 4, Progress: func(_ Pack, done, of int) { last.Store(max(last.Load(), int64(done))); all.Store(int64(of)) }}
	judged, err := run.Judge(t.Context(), c, pack)
	if err != nil {
		t.Fatal(err)
	}
	changes := int64(len(variants()))
	if got, want := calls.Load(), int64(len(c.Pictures))+4*changes; got != want || last.Load() != want || all.Load() != want {
		t.Errorf("%d checks in both runs, the progress says %d of %d, want %d", got, last.Load(), all.Load(), want)
	}
	if o := judged.Outcomes[2]; o.Likelihood != 200./255 || o.Millis.Total != 5 || o.Side != 20 || !o.Judged() {
		t.Errorf("the third picture: %+v", o)
	}
	if o := judged.Outcomes[3]; o.Judged() || o.Broken() || o.Refusal != noFace {
		t.Errorf("a picture without a face: %+v", o)
	}
	if o := judged.Outcomes[7]; !o.Broken() || o.Message == "" {
		t.Errorf("a broken picture: %+v", o)
	}

	if err := run.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, program string
		change        func(*Pack)
		again         bool
	}{
		{"a third run", "program", func(*Pack) {}, false},
		{"another threshold", "program", func(p *Pack) { p.Threshold = 0.9 }, false},
		{"another program", "new", func(*Pack) {}, true},
		{"another pack", "program", func(p *Pack) { p.Hash = "4567" }, true},
		{"another decoder", "program", func(p *Pack) { p.Decoder = "libvips" }, true},
	} {
		calls.Store(0)
		changed := pack
		test.change(&changed)
		run := Run{Journal: journal(t, file, test.program), Progress: steps}
		if _, err := run.Judge(t.Context(), c, changed); err != nil {
			t.Fatal(err)
		}
		if got := calls.Load() > 0; got != test.again {
			t.Errorf("%s judges again: %t, want %t", test.name, got, test.again)
		}
		if err := run.Journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A picture that was replaced is judged again, alone.
	content, err := os.ReadFile(c.Pictures[1].Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Pictures[0].Path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	calls.Store(0)
	again, err := (&Run{Journal: journal(t, file, "program"), Progress: steps}).Judge(t.Context(), c, pack)
	if err != nil || calls.Load() > 1 || again.Outcomes[0].Likelihood != 30./255 {
		t.Errorf("a replaced picture: %v, %d checks, %+v", err, calls.Load(), again.Outcomes[0])
	}
}

func TestJournalIsOfOneEvaluation(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal")
	first := journal(t, file, "p")
	if _, err := OpenJournal(file, "p"); err == nil || !strings.Contains(err.Error(), "another evaluation") {
		t.Errorf("a second evaluation: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	journal(t, file, "p")
}

func TestRunEndsWithTheEngine(t *testing.T) {
	t.Parallel()
	pack := brightPack(new(atomic.Int64))
	pack.Check = func(context.Context, []byte, decode.Format) (inference.Result, error) {
		return inference.Result{}, inference.ErrClosed
	}
	run := Run{Journal: journal(t, filepath.Join(t.TempDir(), "j"), "p"), Progress: func(Pack, int, int) {}}
	if _, err := run.Judge(t.Context(), shades(t, fewShades), pack); !errors.Is(err, inference.ErrClosed) || !strings.Contains(err.Error(), "png") {
		t.Errorf("%v", err)
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	var pictures []Picture
	for i := range 100 {
		pictures = append(pictures, Picture{Fake: i >= 20, Attack: []string{"a", "b"}[i%2]})
	}
	for _, test := range []struct{ n, live, fake, ofB int }{{0, 0, 0, 0}, {10, 5, 5, 2}, {60, 20, 40, 20}, {1000, 20, 80, 40}} {
		live, fake, b, seen := 0, 0, 0, map[int]bool{}
		for _, i := range sample(pictures, test.n) {
			if seen[i] {
				t.Errorf("%d is chosen twice of %d", i, test.n)
			}
			seen[i] = true
			switch p := pictures[i]; {
			case !p.Fake:
				live++
			case p.Attack == "b":
				b++
				fallthrough
			default:
				fake++
			}
		}
		if live != test.live || fake != test.fake || b != test.ofB {
			t.Errorf("%d: %d live, %d fakes, %d of b, want %+v", test.n, live, fake, b, test)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	c := shades(t, fewShades)
	run := Run{Journal: journal(t, filepath.Join(t.TempDir(), "j"), "p"), Stability: 8, Progress: func(Pack, int, int) {}}
	judged, err := run.Judge(t.Context(), c, brightPack(new(atomic.Int64)))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFigures(c, []Judged{judged, judged}, 5)
	p := f.Packs[0]
	if f.Live != 4 || f.Fake != 4 || f.Subjects != 4 || len(f.Attacks) != 2 || f.Attacks[1] != (Count{"screen", 2}) {
		t.Errorf("%+v", f)
	}
	// Live 10, 30 and 200; fakes 100, 220 and 250, of which 100 passes.
	for _, test := range []struct {
		name      string
		got       float64
		want      float64
		count, of int
	}{
		{"APCER", p.APCER.Value, 1. / 3, p.APCER.Count, p.APCER.Of},
		{"APCER of prints", p.Attacks[0].APCER.Value, 1. / 2, p.Attacks[0].APCER.Count, p.Attacks[0].APCER.Of},
		{"APCER of screens", p.Attacks[1].APCER.Value, 0, 0, p.Attacks[1].APCER.Of},
		{"worst", p.Worst.APCER.Value, 1. / 2, 1, 2},
		{"BPCER", p.BPCER.Value, 1. / 3, p.BPCER.Count, p.BPCER.Of},
		{"ACER", p.ACER.Value, 1. / 3, 0, 0},
		{"ACER of the worst", p.WorstACER.Value, 5. / 12, 0, 0},
		{"AUC", p.AUC.Value, 8. / 9, 0, 0},
		{"BPNRR", p.BPNRR.Value, 1. / 4, p.BPNRR.Count, p.BPNRR.Of},
		{"APNRR", p.APNRR.Value, 0, p.APNRR.Count, 3},
		{"live not valid", p.Validity.LiveNotValid.Value, 1. / 3, 1, 3},
		{"fakes not valid", p.Validity.FakeNotValid.Value, 0, 0, 3},
		{"BPCER of valid", p.Validity.BPCER.Value, 1. / 2, 1, 2},
		{"turned away", p.Validity.LiveTurnedAway.Value, 3. / 4, 3, p.Validity.LiveTurnedAway.Of},
		{"let in", p.Validity.FakesLetIn.Value, 1. / 3, 1, p.Validity.FakesLetIn.Of},
	} {
		if test.got < test.want-1e-9 || test.got > test.want+1e-9 {
			t.Errorf("%s: %v, want %v (%d of %d)", test.name, test.got, test.want, test.count, test.of)
		}
	}
	if p.APCER.Of != 3 || p.BPCER.Of != 3 || p.BPNRR.Of != 4 || p.APNRR.Of != 3 || len(p.Broken) != 1 || p.Broken[0].File != "broken.jpg" {
		t.Errorf("what counts: %+v, %+v, %+v, %+v, %+v", p.APCER, p.BPCER, p.BPNRR, p.APNRR, p.Broken)
	}
	if len(p.Worsts) != 2 || p.Worsts[0].File != "100.png" || p.Worsts[1].File != "200.png" {
		t.Errorf("worst errors: %+v", p.Worsts)
	}
	row := p.Thresholds[4]
	if row.Threshold != 0.15 || row.APCER != 0 || row.BPCER != 1./3 || row.ACER != 1./6 {
		t.Errorf("at 0.15: %+v", row)
	}
	if at := p.AtAPCER[0]; at.Limit != 0.01 || at.Rate.Value != 1./3 || at.Threshold != (30./255+100./255)/2 {
		t.Errorf("BPCER at APCER 1 %%: %+v", at)
	}
	if total := p.Histogram.Live[0] + p.Histogram.Live[2] + p.Histogram.Live[19]; total != 3 || p.Histogram.Fakes["print"][9] != 1 {
		t.Errorf("histogram: %+v", p.Histogram)
	}
	var live, fake int
	for _, band := range p.Brightness {
		live, fake = live+band.BPCER.Of, fake+band.APCER.Of
	}
	if live != 3 || fake != 3 || p.Brightness[0].BPCER.Of != 2 || *p.Brightness[0].To != 40 {
		t.Errorf("bands: %+v", p.Brightness)
	}
	for _, s := range p.Stability {
		switch s.Change {
		case unchanged:
			if s.LiveToFake.Count+s.FakeToLive.Count+s.Lost.Count != 0 || s.MeanMove != 0 || s.LiveToFake.Of != 2 || s.FakeToLive.Of != 2 {
				t.Errorf("unchanged pictures flip: %+v", s)
			}
		case "brightness 50 %": // 220 and 250 become 110 and 125
			if s.FakeToLive.Count != 2 || s.LiveToFake.Count != 0 {
				t.Errorf("%+v", s)
			}
		case "white border, 10 %": // all of 255
			if s.LiveToFake.Count != 2 || s.LiveCalled.Value != 1 {
				t.Errorf("%+v", s)
			}
		case "black border, 10 %":
			if s.Lost.Value != 1 || s.NotValid.Value != 1 {
				t.Errorf("%+v", s)
			}
		}
	}
	if p.Time.Median.Total != 5 || p.Time.Workers != 2 {
		t.Errorf("%+v", p.Time)
	}
	for _, d := range f.Comparisons[0].Figures {
		if d.Value != 0 || d.Low != 0 || d.High != 0 || d.P != 1 {
			t.Errorf("a pack differs from itself: %+v", d)
		}
	}
	var scores bytes.Buffer
	if err := WriteScores(&scores, c, []Judged{judged}); err != nil {
		t.Fatal(err)
	}
	if lines, err := csv.NewReader(bytes.NewReader(scores.Bytes())).ReadAll(); err != nil || len(lines) != 1+len(c.Pictures) {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	for _, want := range []string{"200.png,live,,b,s,judged,0.78", "live refused", "100.png,fake,print,c,s,judged,0.39", "fake passed", "0.png,live,,b,s,no_face,,0.5", "broken.jpg,fake,screen,d,s,not_an_image"} {
		if !strings.Contains(scores.String(), want) {
			t.Errorf("the scores lack %q:\n%s", want, scores.String())
		}
	}
}

// Each set is judged at the threshold that is best for the others, each of which weighs the same.
func TestLeaveOneSetOut(t *testing.T) {
	t.Parallel()
	c := shades(t, "x/20.png,live,,,one\nx/60.png,fake,p,,one\n"+ // best between 20 and 60
		"y/90.png,live,,,two\ny/120.png,live,,,two\ny/180.png,fake,p,,two\n"+ // best between 120 and 180
		"z/10.png,live,,,three\n") // no fakes: no set to choose by, or to leave out
	judged, err := (&Run{Journal: journal(t, filepath.Join(t.TempDir(), "j"), "p"), Progress: func(Pack, int, int) {}}).Judge(t.Context(), c, brightPack(new(atomic.Int64)))
	if err != nil {
		t.Fatal(err)
	}
	p := NewFigures(c, []Judged{judged}, 0).Packs[0]
	for _, s := range p.Sets {
		switch s.Name {
		case "one": // at 150 its fake passes
			if s.LeftOut == nil || s.LeftOut.APCER != 1 || s.LeftOut.BPCER != 0 || s.LeftOut.Threshold < 149./255 || s.LeftOut.Threshold > 151./255 {
				t.Errorf("%+v", s.LeftOut)
			}
		case "two": // at 40 both of its live ones are refused
			if s.LeftOut == nil || s.LeftOut.APCER != 0 || s.LeftOut.BPCER != 1 {
				t.Errorf("%+v", s.LeftOut)
			}
		case "three":
			if s.LeftOut != nil {
				t.Errorf("%+v", s.LeftOut)
			}
		}
	}
	if p.LeftOut == nil || *p.LeftOut != 0.5 || len(p.Sets) != 3 {
		t.Errorf("the mean: %v of %+v", p.LeftOut, p.Sets)
	}
}
