package evaluate

import (
	"math"
)

func newHistogram(v view) Histogram {
	h := Histogram{Live: make([]int, histogramBins), Fakes: map[string][]int{}}
	for i, p := range v.pictures {
		o := v.outcomes[i]
		if !o.Judged() {
			continue
		}
		bins := h.Live
		if p.Fake {
			if h.Fakes[p.Attack] == nil {
				h.Fakes[p.Attack] = make([]int, histogramBins)
			}
			bins = h.Fakes[p.Attack]
		}
		bins[min(int(o.Likelihood*histogramBins), histogramBins-1)]++
	}
	return h
}

// newCalibration weighs both kinds the same: how many fakes a collection has says nothing about how many there are.
func newCalibration(v view) Calibration {
	live, fake := v.bpcer(everything).Of, v.apcer(everything).Of
	var c Calibration
	bins := make([]CalibrationBin, calibrationBins)
	for i, p := range v.pictures {
		o := v.outcomes[i]
		if !o.Judged() {
			continue
		}
		weight, is := 0.5/float64(live), 0.0
		if p.Fake {
			weight, is = 0.5/float64(fake), 1
		}
		bin := &bins[min(int(o.Likelihood*calibrationBins), calibrationBins-1)]
		bin.Count++
		bin.Weight += weight
		bin.Mean += weight * o.Likelihood
		bin.Fakes += weight * is
		c.Brier += weight * (o.Likelihood - is) * (o.Likelihood - is)
	}
	for _, bin := range bins {
		if bin.Count > 0 {
			c.ECE += math.Abs(bin.Mean - bin.Fakes)
			bin.Mean /= bin.Weight
			bin.Fakes /= bin.Weight
			c.Bins = append(c.Bins, bin)
		}
	}
	return c
}
