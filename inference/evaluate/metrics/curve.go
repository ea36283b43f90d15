package metrics

import (
	"cmp"
	"math"
	"slices"
)

// Score is the judgement of one picture.
type Score struct {
	Likelihood float64 // of a fake
	Fake       bool    // what the picture really is
}

// Ranking holds scores in their order. Its methods take a weight for each score, in the order given to Rank; nil weighs all
// the same.
type Ranking struct {
	scores []Score // by rising likelihood
	origin []int   // where each was given to Rank
}

// Rank sorts scores.
func Rank(scores []Score) Ranking {
	r := Ranking{scores: make([]Score, len(scores)), origin: make([]int, len(scores))}
	for i := range scores {
		r.origin[i] = i
	}
	slices.SortStableFunc(r.origin, func(a, b int) int { return cmp.Compare(scores[a].Likelihood, scores[b].Likelihood) })
	for i, from := range r.origin {
		r.scores[i] = scores[from]
	}
	return r
}

func (r Ranking) weight(weights []float64, i int) float64 {
	if weights == nil {
		return 1
	}
	return weights[r.origin[i]]
}

// Point is what a threshold gives.
type Point struct {
	Threshold float64 `json:"threshold"`
	APCER     float64 `json:"apcer"`
	BPCER     float64 `json:"bpcer"`
}

// ACER returns the mean of the two error rates.
func (p Point) ACER() float64 { return (p.APCER + p.BPCER) / 2 }

// Curve lists all that thresholds can give, by rising threshold: APCER rises and BPCER falls. Between its ends the threshold
// lies in the middle between two neighbouring likelihoods; the first calls everything a fake, the last nothing.
type Curve []Point

// Curve returns the error rates at all thresholds; into is overwritten. There must be scores of both kinds.
func (r Ranking) Curve(into Curve, weights []float64) Curve {
	var live, fake float64
	for i, s := range r.scores {
		if s.Fake {
			fake += r.weight(weights, i)
		} else {
			live += r.weight(weights, i)
		}
	}
	curve := into[:0]
	curve = append(curve, Point{Threshold: r.scores[0].Likelihood / 2, BPCER: 1})
	var liveBelow, fakeBelow float64
	for i, s := range r.scores {
		if s.Fake {
			fakeBelow += r.weight(weights, i)
		} else {
			liveBelow += r.weight(weights, i)
		}
		next := 1.0
		if i+1 < len(r.scores) {
			if next = r.scores[i+1].Likelihood; next == s.Likelihood {
				continue
			}
		}
		curve = append(curve, Point{(s.Likelihood + next) / 2, fakeBelow / fake, (live - liveBelow) / live})
	}
	return curve
}

// At returns the error rates at one threshold.
func (r Ranking) At(threshold float64, weights []float64) Point {
	var live, fake, refused, passed float64
	for i, s := range r.scores {
		w, above := r.weight(weights, i), s.Likelihood > threshold
		switch {
		case s.Fake:
			fake += w
			if !above {
				passed += w
			}
		default:
			live += w
			if above {
				refused += w
			}
		}
	}
	return Point{threshold, passed / fake, refused / live}
}

// AUC returns the area under the ROC curve: the probability that a fake has a higher likelihood than a live picture, an equal
// one counting half (Mann and Whitney).
func (c Curve) AUC() float64 {
	area := 0.0
	for i := 1; i < len(c); i++ {
		area += (c[i-1].BPCER - c[i].BPCER) * (1 - (c[i-1].APCER+c[i].APCER)/2)
	}
	return area
}

// EER returns the equal error rate, where the straight lines between the points of the curve have APCER = BPCER, and the
// threshold of the point next to it.
func (c Curve) EER() (rate, threshold float64) {
	i := slices.IndexFunc(c, func(p Point) bool { return p.APCER >= p.BPCER })
	before, after := c[max(i-1, 0)], c[i]
	below, above := before.BPCER-before.APCER, after.APCER-after.BPCER
	rate = after.APCER
	if below+above > 0 {
		rate = before.APCER + (after.APCER-before.APCER)*below/(below+above)
	}
	if below < above {
		return rate, before.Threshold
	}
	return rate, after.Threshold
}

// slack is more than what sums of weights are off by, and less than one picture counts.
const slack = 1e-9

// AtAPCER returns the point of the least BPCER whose APCER is at most limit.
func (c Curve) AtAPCER(limit float64) Point {
	i := slices.IndexFunc(c, func(p Point) bool { return p.APCER > limit+slack })
	if i < 0 {
		return c[len(c)-1]
	}
	return c[i-1] // the first point has an APCER of 0
}

// AtBPCER returns the point of the least APCER whose BPCER is at most limit.
func (c Curve) AtBPCER(limit float64) Point {
	return c[slices.IndexFunc(c, func(p Point) bool { return p.BPCER <= limit+slack })] // the last point has a BPCER of 0
}

// Best returns the point of the least ACER.
func (c Curve) Best() Point {
	return slices.MinFunc(c, func(a, b Point) int { return cmp.Compare(a.ACER(), b.ACER()) })
}

// Thinned returns at most about n points of the curve that draw the same line: neighbours that lie within 1/n of both rates
// of the one kept before them are left out.
func (c Curve) Thinned(n int) Curve {
	var kept Curve
	for i, p := range c {
		if i > 0 && i < len(c)-1 {
			last := kept[len(kept)-1]
			if math.Abs(p.APCER-last.APCER) < 1/float64(n) && math.Abs(p.BPCER-last.BPCER) < 1/float64(n) {
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}
