package main

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/domain"
)

func parseLimits(t *testing.T, args ...string) LimitFlags {
	t.Helper()
	var flags struct {
		LimitFlags `embed:""`
	}
	parser, err := kong.New(&flags)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags.LimitFlags
}

func TestLimitsReachWhatTheyLimit(t *testing.T) {
	t.Parallel()
	site := SiteFlags{KeyRate: 1, KeyBurst: 2, AddrRate: 3, AddrBurst: 4}
	usual := parseLimits(t)
	if err := usual.check(); err != nil {
		t.Fatal(err)
	}
	if got := usual.server(nil); got.Connections != 4096 || got.Upload != 2*time.Minute || got.MinRate != 16<<10 || got.StrangerWeight != 1 {
		t.Errorf("the defaults are %+v", got)
	}
	for plan, weight := range v1.PlanWeights() {
		if got := usual.PlanWeights[string(plan)]; got != weight {
			t.Errorf("--help says that %s weighs %v, the API %v", plan, got, weight)
		}
	}
	given := parseLimits(t, "--connections=7", "--uploads=8", "--image-memory=64", "--plan-weights=starter=2.5,enterprise=9", "--upload-timeout=30s", "--begin-timeout=1s")
	if err := given.check(); err != nil {
		t.Fatal(err)
	}
	got := given.api(site)
	if got.InFlight != 8 || got.ImageMemory != 64<<20 || got.BeginWait != time.Second || got.KeyRate != 1 || got.AddressBurst != 4 ||
		got.PlanWeights[domain.PlanStarter] != 2.5 || got.PlanWeights[domain.PlanStandard] != 2 || got.PlanWeights[domain.PlanEnterprise] != 9 {
		t.Errorf("%+v", got)
	}
	if got := given.server(nil); got.Connections != 7 || got.Upload != 30*time.Second {
		t.Errorf("%+v", got)
	}
}

// Connections never need more file handles than there are.
func TestConnectionsFitTheFileHandles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		handles uint64
		want    int
		said    bool
	}{{20_000, 4096, false}, {4352, 4096, false}, {4351, 4095, true}, {1024, 768, true}, {300, 150, true}, {100, 50, true}} {
		var log bytes.Buffer
		limits := parseLimits(t)
		limits.fit(test.handles, slog.New(slog.NewTextHandler(&log, nil)))
		if said := log.Len() > 0; limits.Connections != test.want || said != test.said {
			t.Errorf("%d handles: %d connections, and the log says %q; want %d", test.handles, limits.Connections, &log, test.want)
		}
	}
}

func TestLimitsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*LimitFlags){
		"--connections":            func(f *LimitFlags) { f.Connections = 0 },
		"--uploads":                func(f *LimitFlags) { f.Uploads = -1 },
		"--upload-timeout":         func(f *LimitFlags) { f.UploadTimeout = 0 },
		"--stall-timeout":          func(f *LimitFlags) { f.StallTimeout = -time.Second },
		"--stranger-weight":        func(f *LimitFlags) { f.StrangerWeight = math.NaN() },
		"--image-memory 19":        func(f *LimitFlags) { f.ImageMemory = 19 },
		"there is no plan":         func(f *LimitFlags) { f.PlanWeights = map[string]float64{"platinum": 1} },
		"a weight is above 0":      func(f *LimitFlags) { f.PlanWeights = map[string]float64{"starter": 0} },
		"--image-memory -1: give ": func(f *LimitFlags) { f.ImageMemory = -1 },
	} {
		flags := parseLimits(t)
		spoil(&flags)
		if err := flags.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to say %q", err, want)
		}
	}
}
