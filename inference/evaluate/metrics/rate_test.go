package metrics_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func near(a, b, slack float64) bool { return math.Abs(a-b) <= slack }

// The intervals of Newcombe 1998 (Statistics in Medicine 17, 857–872, table I, method 3).
func TestWilson(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hits, n, low, high float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}, {20, 20, 0.8389, 1},
	} {
		if low, high := metrics.Wilson(test.hits/test.n, test.n); !near(low, test.low, 5e-5) || !near(high, test.high, 5e-5) {
			t.Errorf("%g of %g: %.4f to %.4f, want %.4f to %.4f", test.hits, test.n, low, high, test.low, test.high)
		}
	}
}

func TestEffectiveSize(t *testing.T) {
	t.Parallel()
	const t3 = 3.182446 // the 97.5 % quantile of Student's distribution with three degrees of freedom
	correction := 1.959964 * 1.959964 / (t3 * t3)
	for _, test := range []struct {
		name        string
		hits, sizes []float64
		want        float64
	}{
		{"one picture each", []float64{1, 0, 0}, []float64{1, 1, 1}, 3},
		// p = 1/2; the variance is 4/3 · Σ (±1/8)² = 1/12, so 1/4 ÷ 1/12 = 3.
		{"all or none", []float64{2, 0, 2, 0}, []float64{2, 2, 2, 2}, 3 * correction},
		// p = 3/8; d = 5/32, 1/32, -3/32, -3/32, the variance 4/3 · 44/1024, so 15/64 ÷ 11/192 = 45/11.
		{"in between", []float64{2, 1, 0, 0}, []float64{2, 2, 2, 2}, 45. / 11 * correction},
		// Subjects who are all alike say no more than their pictures do.
		{"alike", []float64{5, 5, 5, 5}, []float64{10, 10, 10, 10}, 40 * correction},
		// 10² ÷ (1 + 1 + 1 + 49)
		{"none, of unequal subjects", []float64{0, 0, 0, 0}, []float64{1, 1, 1, 7}, 100. / 52 * correction},
		{"all of them", []float64{20, 20, 20, 20}, []float64{20, 20, 20, 20}, 4 * correction},
		{"a single subject", []float64{3}, []float64{9}, 1},
		{"never below one", []float64{2, 0}, []float64{2, 2}, 1},
	} {
		want := max(test.want, 1)
		if got := metrics.EffectiveSize(test.hits, test.sizes); !near(got, want, 1e-4) {
			t.Errorf("%s: %.5f, want %.5f", test.name, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	trials := func(subjects, each, hits int) (all []metrics.Trial) {
		for s := range subjects {
			for i := range each {
				name := ""
				if each > 1 {
					name = fmt.Sprint(s)
				}
				all = append(all, metrics.Trial{Subject: name, Hit: s*each+i < hits})
			}
		}
		return all
	}
	alone := metrics.NewRate(trials(40, 1, 8))
	if low, high := metrics.Wilson(0.2, 40); alone.Count != 8 || alone.Of != 40 || alone.Effective != 40 ||
		alone.Interval != (metrics.Interval{Value: 0.2, Low: low, High: high}) {
		t.Errorf("40 people: %+v", alone)
	}
	together := metrics.NewRate(trials(10, 4, 8)) // all hits are of two people
	if together.Value != alone.Value || together.Effective >= 10 || together.Low >= alone.Low || together.High <= alone.High {
		t.Errorf("ten people with four pictures each: %+v, alone: %+v", together, alone)
	}
	if nothing := metrics.NewRate(nil); nothing != (metrics.Rate{Interval: metrics.Interval{High: 1}}) {
		t.Errorf("of nothing: %+v", nothing)
	}
}

func TestMean(t *testing.T) {
	t.Parallel()
	a := metrics.Rate{Interval: metrics.Interval{Value: 0.10, Low: 0.07, High: 0.16}}
	b := metrics.Rate{Interval: metrics.Interval{Value: 0.30, Low: 0.26, High: 0.38}}
	// Down 3 and 4 points, up 6 and 8: √(9+16)/2 and √(36+64)/2.
	if got := metrics.Mean(a, b); !near(got.Value, 0.20, 1e-12) || !near(got.Low, 0.175, 1e-12) || !near(got.High, 0.25, 1e-12) {
		t.Errorf("%+v", got)
	}
}
