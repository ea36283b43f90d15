package evaluate

import (
	"math"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func newStability(c Collection, j Judged) []Stability {
	if len(j.Sampled) == 0 {
		return nil
	}
	sampled := view{limit: j.Pack.Threshold, outcomes: j.Variants[unchanged]}
	for _, i := range j.Sampled {
		sampled.pictures = append(sampled.pictures, c.Pictures[i])
	}
	before := func(at int) Outcome { return sampled.outcomes[at] }
	var all []Stability
	for _, change := range variants() {
		after := j.Variants[change.name]
		rate := func(of func(p Picture, before, after Outcome) (counts, hit bool)) metrics.Rate {
			at := -1
			return sampled.rate(func(p Picture, _ Outcome) (bool, bool) {
				at++
				return of(p, before(at), after[at])
			})
		}
		both := func(before, after Outcome) bool { return before.Judged() && after.Judged() }
		s := Stability{
			Change: change.name, Group: change.group,
			LiveToFake: rate(func(p Picture, before, after Outcome) (bool, bool) {
				return !p.Fake && both(before, after) && !sampled.fake(before), sampled.fake(after)
			}),
			FakeToLive: rate(func(p Picture, before, after Outcome) (bool, bool) {
				return p.Fake && both(before, after) && sampled.fake(before), !sampled.fake(after)
			}),
			Lost: rate(func(_ Picture, before, after Outcome) (bool, bool) { return before.Judged(), !after.Judged() }),
			NotValid: rate(func(_ Picture, before, after Outcome) (bool, bool) {
				return before.Judged(), !after.Judged() || !after.Valid
			}),
			LiveCalled:   rate(func(p Picture, _, after Outcome) (bool, bool) { return !p.Fake && after.Judged(), sampled.fake(after) }),
			FakesPassing: rate(func(p Picture, _, after Outcome) (bool, bool) { return p.Fake && after.Judged(), !sampled.fake(after) }),
		}
		moved := 0
		for at, o := range after {
			if both(before(at), o) {
				s.MeanMove += math.Abs(o.Likelihood - before(at).Likelihood)
				moved++
			}
		}
		s.MeanMove /= float64(max(moved, 1))
		all = append(all, s)
	}
	return all
}
