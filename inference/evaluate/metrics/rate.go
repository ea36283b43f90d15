// Package metrics holds the figures of presentation attack detection as pure functions: error rates in the terms of
// ISO/IEC 30107-3, their confidence intervals, curves and operating points, and the bootstrap. It knows no pictures.
//
// A picture is called a fake when its likelihood is above the threshold. With N the number of pictures of a kind:
//
//	APCER = 1/N · number of fakes that pass as live        for one type of attack, or for several together
//	BPCER = 1/N · number of live ones that are called fake
//	ACER  = (APCER + BPCER) / 2
package metrics

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// confidence is that of every interval; z is the quantile of the normal distribution that goes with it.
const confidence = 0.95

var z = mathext.NormalQuantile((1 + confidence) / 2)

// Interval is a figure with the bounds of its 95 % confidence interval.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Rate is the share of some pictures that something is true of. Of nothing (Of is 0) it says nothing: the value is 0 and
// the interval everything.
type Rate struct {
	Count int `json:"count"`
	Of    int `json:"of"`
	Interval
	// Effective is the number of independent pictures that say as much as Of, see EffectiveSize.
	Effective float64 `json:"effective_of"`
}

// Trial is one picture that a rate is about.
type Trial struct {
	// Subject is the person who is shown; "" is a person who is on no other picture.
	Subject string
	Hit     bool
}

// NewRate counts the hits. Pictures of one person resemble one another, so the interval is Wilson's for the effective
// number of pictures.
func NewRate(trials []Trial) Rate {
	r := Rate{Of: len(trials), Interval: Interval{High: 1}}
	if r.Of == 0 {
		return r
	}
	bySubject := map[string]int{}
	var hits, sizes []float64
	for _, trial := range trials {
		at, known := bySubject[trial.Subject]
		if !known || trial.Subject == "" {
			at = len(sizes)
			bySubject[trial.Subject] = at
			hits, sizes = append(hits, 0), append(sizes, 0)
		}
		sizes[at]++
		if trial.Hit {
			hits[at]++
			r.Count++
		}
	}
	r.Value = float64(r.Count) / float64(r.Of)
	r.Effective = EffectiveSize(hits, sizes)
	r.Low, r.High = Wilson(r.Value, r.Effective)
	return r
}

// Wilson returns the bounds of the score interval of a share p that was observed among n (Wilson 1927).
func Wilson(p, n float64) (low, high float64) {
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(middle-half, 0), min(middle+half, 1)
}

// EffectiveSize returns how many independent trials say as much about a share as these, of which those of one subject
// depend on one another: n ÷ design effect, with the variance between subjects (linearised ratio estimate), corrected for
// the number of subjects (Korn and Graubard 1998). A share of 0 or 1 shows no variance; then all trials of a subject count as
// one. With one trial per subject it is their number.
func EffectiveSize(hits, sizes []float64) float64 {
	var n, all, squares float64
	for i, size := range sizes {
		n += size
		all += hits[i]
		squares += size * size
	}
	m := float64(len(sizes))
	if m == n {
		return n
	}
	if m < 2 {
		return 1
	}
	p := all / n
	effective := n * n / squares
	if p > 0 && p < 1 {
		variance := 0.0
		for i, size := range sizes {
			d := (hits[i] - p*size) / n
			variance += d * d * m / (m - 1)
		}
		effective = min(n, p*(1-p)/variance)
	}
	t := studentQuantile((1+confidence)/2, m-1)
	return max(1, effective*(z/t)*(z/t))
}

// studentQuantile returns the quantile of Student's t distribution for a share p above one half.
func studentQuantile(p, degrees float64) float64 {
	x := mathext.InvRegIncBeta(degrees/2, 0.5, 2*(1-p)) // degrees / (degrees + t²)
	return math.Sqrt(degrees * (1 - x) / x)
}

// Mean returns the mean of two independent rates, such as ACER, with the interval that follows from theirs (MOVER, Zou and
// Donner 2008): unlike a bootstrap it knows that an observed 0 is no certain one.
func Mean(a, b Rate) Interval {
	v := (a.Value + b.Value) / 2
	return Interval{
		Value: v,
		Low:   v - math.Hypot(a.Value-a.Low, b.Value-b.Low)/2,
		High:  v + math.Hypot(a.High-a.Value, b.High-b.Value)/2,
	}
}
