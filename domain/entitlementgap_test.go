package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestEntitlementGap(t *testing.T) {
	t.Parallel()
	later := noon.Add(time.Hour)
	missed := domain.EntitlementGap{Missing: 1, MissingSince: noon}
	silent := domain.EntitlementGap{SilentSince: noon}
	for name, c := range map[string]struct{ got, want domain.EntitlementGap }{
		"missing":            {domain.EntitlementGap{}.Miss(noon), missed},
		"missing again":      {missed.Miss(later), domain.EntitlementGap{Missing: 2, MissingSince: noon}},
		"missing, answered":  {silent.Miss(later), domain.EntitlementGap{Missing: 1, MissingSince: later}},
		"silent":             {domain.EntitlementGap{}.Silence(noon), silent},
		"silent again":       {silent.Silence(later), silent},
		"missing and silent": {missed.Silence(later), domain.EntitlementGap{Missing: 1, MissingSince: noon, SilentSince: later}},
		"withheld before":    {domain.EntitlementGap{Missing: 2, MissingSince: noon, Withheld: true}.Miss(later), domain.EntitlementGap{Missing: 3, MissingSince: noon}},
		"withheld, silent":   {domain.EntitlementGap{SilentSince: noon, Withheld: true}.Silence(later), silent},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
}

// More than both are too many: few of few are taken for true, and so are some of many.
func TestEndingBound(t *testing.T) {
	t.Parallel()
	bound := domain.EndingBound{Subscriptions: 3, Percent: 1}
	for _, c := range []struct {
		ending, compared int
		want             bool
	}{
		{0, 0, false}, {3, 3, false}, {4, 4, true}, {4, 399, true}, {4, 400, false}, {5, 400, true}, {100, 10_000, false}, {101, 10_000, true},
	} {
		if got := bound.Exceeded(c.ending, c.compared); got != c.want {
			t.Errorf("%d of %d: %t", c.ending, c.compared, got)
		}
	}
}
