package evaluate

import (
	"cmp"
	"slices"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func newPackFigures(c Collection, j Judged, f Figures, mistakes int) PackFigures {
	v := view{c.Pictures, j.Outcomes, j.Pack.Threshold}
	p := PackFigures{
		Name: j.Pack.Name, ID: j.Pack.ID, Hash: j.Pack.Hash, Description: j.Pack.Description, Decoder: j.Pack.Decoder,
		Threshold: j.Pack.Threshold, outcomes: j.Outcomes,
		APCER: v.apcer(everything), BPCER: v.bpcer(everything),
		BPNRR: v.rate(func(p Picture, o Outcome) (bool, bool) { return !p.Fake && !o.Broken(), !o.Judged() }),
		APNRR: v.rate(func(p Picture, o Outcome) (bool, bool) { return p.Fake && !o.Broken(), !o.Judged() }),
	}
	for _, attack := range f.Attacks {
		of := func(p Picture, _ Outcome) bool { return p.Fake && p.Attack == attack.Name }
		p.Attacks = append(p.Attacks, Attack{
			Name: attack.Name, APCER: v.apcer(of),
			APNRR: v.rate(func(p Picture, o Outcome) (bool, bool) { return of(p, o) && !o.Broken(), !o.Judged() }),
		})
	}
	p.Worst = slices.MaxFunc(p.Attacks, func(a, b Attack) int { return cmp.Compare(a.APCER.Value, b.APCER.Value) })
	p.ACER, p.WorstACER = metrics.Mean(p.APCER, p.BPCER), metrics.Mean(p.Worst.APCER, p.BPCER)
	for i, o := range j.Outcomes {
		if o.Broken() {
			p.Broken = append(p.Broken, Broken{c.Pictures[i].File, o.Message})
		}
	}
	p.Validity = newValidity(v)
	p.Brightness = bands(v, brightnessBounds, func(o Outcome) float64 { return o.Brightness })
	p.Side = bands(v, sideBounds, func(o Outcome) float64 { return o.Side })
	p.Sharpness = bands(v, sharpnessBounds, func(o Outcome) float64 { return o.Sharpness })
	p.Subjects = worstSubjects(v)
	p.Histogram = newHistogram(v)
	p.Calibration = newCalibration(v)
	p.Stability = newStability(c, j)
	p.Time = newTime(j)
	p.Worsts = worstErrors(v, mistakes)
	if p.APCER.Of > 0 && p.BPCER.Of > 0 {
		p.drawCurve(v)
		p.leaveOut(v, f.Sets)
	}
	for _, threshold := range tried {
		p.Thresholds = append(p.Thresholds, thresholdRow(v, threshold, f.Attacks))
	}
	if !slices.Contains(tried, j.Pack.Threshold) {
		p.Thresholds = append(p.Thresholds, thresholdRow(v, j.Pack.Threshold, f.Attacks))
		slices.SortFunc(p.Thresholds, func(a, b ThresholdRow) int { return cmp.Compare(a.Threshold, b.Threshold) })
	}
	return p
}

// drawCurve fills in what follows from the ranking of the likelihoods, with intervals by the bootstrap.
func (p *PackFigures) drawCurve(v view) {
	var units []metrics.Unit
	p.ranking, units = ranked(v, everything)
	curve := p.ranking.Curve(nil, nil)
	eer, threshold := curve.EER()
	p.AtEER, p.Best, p.Curve = threshold, curve.Best(), curve.Thinned(curvePoints)

	// For each figure its values of all rounds: AUC, EER, and what can be had at the limits.
	drawn := make([][]float64, 2+2*len(limits))
	var scratch metrics.Curve
	metrics.Bootstrap(units, rounds, func(weights []float64) {
		scratch = p.ranking.Curve(scratch, weights)
		eer, _ := scratch.EER()
		values := []float64{scratch.AUC(), eer}
		for _, limit := range limits {
			values = append(values, scratch.AtAPCER(limit).BPCER, scratch.AtBPCER(limit).APCER)
		}
		for i, value := range values {
			drawn[i] = append(drawn[i], value)
		}
	})
	p.AUC = metrics.Percentiles(curve.AUC(), drawn[0])
	p.EER = metrics.Percentiles(eer, drawn[1])
	for i, limit := range limits {
		at := curve.AtAPCER(limit)
		p.AtAPCER = append(p.AtAPCER, Operating{limit, metrics.Percentiles(at.BPCER, drawn[2+2*i]), at.Threshold})
		at = curve.AtBPCER(limit)
		p.AtBPCER = append(p.AtBPCER, Operating{limit, metrics.Percentiles(at.APCER, drawn[3+2*i]), at.Threshold})
	}
}

// ranked ranks the judged pictures that are in.
func ranked(v view, in func(p Picture, o Outcome) bool) (metrics.Ranking, []metrics.Unit) {
	var scores []metrics.Score
	var units []metrics.Unit
	for i, p := range v.pictures {
		if o := v.outcomes[i]; o.Judged() && in(p, o) {
			scores = append(scores, metrics.Score{Likelihood: o.Likelihood, Fake: p.Fake})
			units = append(units, metrics.Unit{Subject: p.Subject, Fake: p.Fake})
		}
	}
	return metrics.Rank(scores), units
}

// leaveOut makes the figures by set. The threshold for a set is chosen on the others, each of them weighing the same, because
// how many pictures a set has says nothing about how often its conditions occur.
func (p *PackFigures) leaveOut(v view, sets []Count) {
	for _, set := range sets {
		in := func(p Picture, _ Outcome) bool { return p.Set == set.Name }
		s := Set{Name: set.Name, APCER: v.apcer(in), BPCER: v.bpcer(in)}
		s.ACER = metrics.Mean(s.APCER, s.BPCER)
		p.Sets = append(p.Sets, s)
	}
	sum, summed := 0.0, 0
	for at, s := range p.Sets {
		scores, weights := v.others(p.Sets, s)
		if !s.whole() || len(scores) == 0 {
			continue
		}
		mine, _ := ranked(v, func(p Picture, _ Outcome) bool { return p.Set == s.Name })
		point := mine.At(metrics.Rank(scores).Curve(nil, weights).Best().Threshold, nil)
		p.Sets[at].LeftOut = &point
		sum += point.ACER()
		summed++
	}
	if summed > 1 {
		mean := sum / float64(summed)
		p.LeftOut = &mean
	}
}

// whole returns whether there are judged pictures of both kinds.
func (s Set) whole() bool { return s.APCER.Of > 0 && s.BPCER.Of > 0 }

// others returns the scores of all whole sets but one, with weights by which each set and each kind in it weighs the same.
func (v view) others(sets []Set, but Set) (scores []metrics.Score, weights []float64) {
	in := map[string]Set{}
	for _, s := range sets {
		if s.whole() && s.Name != but.Name {
			in[s.Name] = s
		}
	}
	for i, p := range v.pictures {
		set, known := in[p.Set]
		if o := v.outcomes[i]; known && o.Judged() {
			size := set.BPCER.Of
			if p.Fake {
				size = set.APCER.Of
			}
			scores = append(scores, metrics.Score{Likelihood: o.Likelihood, Fake: p.Fake})
			weights = append(weights, 1/float64(size))
		}
	}
	return scores, weights
}

func thresholdRow(v view, threshold float64, attacks []Count) ThresholdRow {
	v.limit = threshold
	row := ThresholdRow{Point: metrics.Point{Threshold: threshold, APCER: v.apcer(everything).Value, BPCER: v.bpcer(everything).Value}}
	row.ACER = row.Point.ACER()
	for _, attack := range attacks {
		of := v.apcer(func(p Picture, _ Outcome) bool { return p.Attack == attack.Name })
		if of.Value > row.WorstAPCER {
			row.WorstAPCER, row.WorstName = of.Value, attack.Name
		}
	}
	return row
}

func newTime(j Judged) Time {
	var of [4][]float64
	for _, o := range j.Outcomes {
		if o.Judged() {
			for i, ms := range []float64{o.Millis.Decode, o.Millis.Detect, o.Millis.Score, o.Millis.Total} {
				of[i] = append(of[i], ms)
			}
		}
	}
	at := func(share float64) Durations {
		var d [4]float64
		for i := range of {
			if slices.Sort(of[i]); len(of[i]) > 0 {
				d[i] = metrics.Quantile(share, of[i])
			}
		}
		return Durations{d[0], d[1], d[2], d[3]}
	}
	return Time{Workers: j.Pack.Workers, Median: at(0.5), P95: at(0.95)}
}

// worstErrors returns the pictures whose verdict is most wrong, fakes that pass first, at most n of each kind.
func worstErrors(v view, n int) []Mistake {
	var passed, refused []Mistake
	for i, p := range v.pictures {
		o := v.outcomes[i]
		switch {
		case !o.Judged() || p.Fake == v.fake(o):
		case p.Fake:
			passed = append(passed, Mistake{p, p.File, o})
		default:
			refused = append(refused, Mistake{p, p.File, o})
		}
	}
	slices.SortStableFunc(passed, func(a, b Mistake) int { return cmp.Compare(a.Outcome.Likelihood, b.Outcome.Likelihood) })
	slices.SortStableFunc(refused, func(a, b Mistake) int { return cmp.Compare(b.Outcome.Likelihood, a.Outcome.Likelihood) })
	return append(passed[:min(n, len(passed))], refused[:min(n, len(refused))]...)
}
