package evaluate

import (
	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

// Comparison is the difference between two packs on the pictures that both have judged: Pack less Base, so that less than 0 is
// better of all but AUC. Both are looked at in the same bootstrap rounds (paired), each at its own threshold.
type Comparison struct {
	Pack     string       `json:"pack"`
	Base     string       `json:"base"`
	Pictures int          `json:"pictures"`
	Figures  []Difference `json:"differences"`
}

// Difference is that of one figure.
type Difference struct {
	Name string `json:"name"`
	metrics.Interval
	P float64 `json:"p"` // two-sided, of no difference
}

// compared are the figures that are compared.
var compared = []string{"ACER", "APCER", "BPCER", "EER", "AUC"}

// compare holds every pack after the first against the first.
func compare(c Collection, packs []PackFigures) []Comparison {
	var all []Comparison
	for at := 1; at < len(packs); at++ {
		if comparison, ok := comparePair(c, packs[at], packs[0]); ok {
			all = append(all, comparison)
		}
	}
	return all
}

func comparePair(c Collection, pack, base PackFigures) (Comparison, bool) {
	var units []metrics.Unit
	var scores [2][]metrics.Score
	kinds := map[bool]bool{}
	for i, p := range c.Pictures {
		if a, b := pack.outcomes[i], base.outcomes[i]; a.Judged() && b.Judged() {
			units = append(units, metrics.Unit{Subject: p.Subject, Fake: p.Fake})
			scores[0] = append(scores[0], metrics.Score{Likelihood: a.Likelihood, Fake: p.Fake})
			scores[1] = append(scores[1], metrics.Score{Likelihood: b.Likelihood, Fake: p.Fake})
			kinds[p.Fake] = true
		}
	}
	if len(kinds) < 2 {
		return Comparison{}, false
	}
	thresholds := [2]float64{pack.Threshold, base.Threshold}
	rankings := [2]metrics.Ranking{metrics.Rank(scores[0]), metrics.Rank(scores[1])}
	var scratch metrics.Curve
	differences := func(weights []float64) (d [5]float64) {
		for i, sign := range [2]float64{1, -1} {
			point := rankings[i].At(thresholds[i], weights)
			scratch = rankings[i].Curve(scratch, weights)
			eer, _ := scratch.EER()
			for at, value := range [5]float64{point.ACER(), point.APCER, point.BPCER, eer, scratch.AUC()} {
				d[at] += sign * value
			}
		}
		return d
	}
	var drawn [5][]float64
	metrics.Bootstrap(units, rounds, func(weights []float64) {
		for i, d := range differences(weights) {
			drawn[i] = append(drawn[i], d)
		}
	})
	result := Comparison{Pack: pack.Name, Base: base.Name, Pictures: len(units)}
	for i, value := range differences(nil) {
		result.Figures = append(result.Figures, Difference{compared[i], metrics.Percentiles(value, drawn[i]), metrics.TwoSided(drawn[i])})
	}
	return result, true
}
