package evaluate

import (
	"maps"
	"slices"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func newValidity(v view) Validity {
	valid := func(_ Picture, o Outcome) bool { return o.Valid }
	of := func(fake bool, hit func(o Outcome) bool) metrics.Rate {
		return v.rate(func(p Picture, o Outcome) (bool, bool) { return p.Fake == fake && o.Judged(), hit(o) })
	}
	notValid := func(o Outcome) bool { return !o.Valid }
	accepted := func(o Outcome) bool { return o.Judged() && o.Valid && !v.fake(o) }
	result := Validity{
		LiveNotValid: of(false, notValid), FakeNotValid: of(true, notValid),
		APCER: v.apcer(valid), BPCER: v.bpcer(valid),
		LiveTurnedAway: v.rate(func(p Picture, o Outcome) (bool, bool) { return !p.Fake && !o.Broken(), !accepted(o) }),
		FakesLetIn:     v.rate(func(p Picture, o Outcome) (bool, bool) { return p.Fake && !o.Broken(), accepted(o) }),
	}
	codes := map[string]bool{}
	for _, o := range v.outcomes {
		for _, code := range o.Issues {
			codes[code] = true
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		given := func(o Outcome) bool { return slices.Contains(o.Issues, code) }
		result.Issues = append(result.Issues, Issue{code, of(false, given), of(true, given)})
	}
	return result
}
