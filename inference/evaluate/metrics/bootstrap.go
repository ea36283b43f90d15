package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Unit is a picture as the bootstrap draws it: with all others of its subject.
type Unit struct {
	Subject string // as in Trial
	Fake    bool
}

// Bootstrap draws as many subjects as there are, with repetition, as often as rounds says, and calls observe with how often
// each unit was drawn. Subjects with live pictures only, with fakes only and with both are drawn apart, so that no round lacks
// a kind. The same arguments draw the same. weights is overwritten by the next round.
func Bootstrap(units []Unit, rounds int, observe func(weights []float64)) {
	type subject struct {
		members    []int
		live, fake bool
	}
	bySubject := map[string]*subject{}
	var subjects []*subject
	for i, unit := range units {
		s := bySubject[unit.Subject]
		if s == nil || unit.Subject == "" {
			s = &subject{}
			bySubject[unit.Subject] = s
			subjects = append(subjects, s)
		}
		s.members = append(s.members, i)
		s.live, s.fake = s.live || !unit.Fake, s.fake || unit.Fake
	}
	var strata [3][]*subject
	for _, s := range subjects {
		at := 0
		switch {
		case s.live && s.fake:
			at = 1
		case s.fake:
			at = 2
		}
		strata[at] = append(strata[at], s)
	}
	random := rand.New(rand.NewPCG(30107, 3))
	weights := make([]float64, len(units))
	for range rounds {
		clear(weights)
		for _, stratum := range strata {
			for range stratum {
				for _, i := range stratum[random.IntN(len(stratum))].members {
					weights[i]++
				}
			}
		}
		observe(weights)
	}
}

// Percentiles returns an observed value with the bounds between which 95 % of its bootstrap values lie.
func Percentiles(value float64, drawn []float64) Interval {
	sorted := slices.Sorted(slices.Values(drawn))
	return Interval{
		Value: value,
		Low:   Quantile((1-confidence)/2, sorted),
		High:  Quantile((1+confidence)/2, sorted),
	}
}

// Quantile returns the value below which a share p of a sorted sample lies, interpolated between the two it falls between
// (Hyndman and Fan 1996, definition 4).
func Quantile(p float64, sorted []float64) float64 {
	rank := p * float64(len(sorted))
	above := int(math.Ceil(rank)) - 1
	if above <= 0 || math.IsNaN(sorted[0]) {
		return sorted[0] // what is no number is sorted before all numbers
	}
	t := float64(above+1) - rank
	return t*sorted[above-1] + (1-t)*sorted[above]
}

// TwoSided returns the two-sided p-value of a difference being none, from its bootstrap values: twice the smaller share of
// them on one side of 0. It is never below what so many rounds can show.
func TwoSided(drawn []float64) float64 {
	below, above := 1, 1
	for _, d := range drawn {
		if d <= 0 {
			below++
		}
		if d >= 0 {
			above++
		}
	}
	return math.Min(1, 2*float64(min(below, above))/float64(len(drawn)+1))
}
