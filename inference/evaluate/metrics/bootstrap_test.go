package metrics_test

import (
	"slices"
	"testing"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func TestBootstrapDrawsSubjects(t *testing.T) {
	t.Parallel()
	units := []metrics.Unit{
		{Subject: "a"}, {Subject: "a", Fake: true}, {Subject: "b"}, {Subject: "b", Fake: true}, // both kinds
		{Subject: "c"}, {Subject: "c"}, {Subject: "d"}, {Subject: "d"}, // live only
		{Fake: true}, {Fake: true}, {Fake: true}, // strangers
	}
	rounds, different := 0, map[float64]bool{}
	var first []float64
	metrics.Bootstrap(units, 200, func(w []float64) {
		rounds++
		if first == nil {
			first = slices.Clone(w)
		}
		different[w[0]] = true
		if w[0] != w[1] || w[2] != w[3] || w[4] != w[5] || w[6] != w[7] {
			t.Fatalf("pictures of one person are drawn apart: %v", w)
		}
		if w[0]+w[2] != 2 || w[4]+w[6] != 2 || w[8]+w[9]+w[10] != 3 {
			t.Fatalf("another number of people than there are: %v", w)
		}
	})
	if rounds != 200 || len(different) != 3 { // drawn never, once and twice
		t.Errorf("%d rounds, drawn %v times", rounds, different)
	}
	metrics.Bootstrap(units, 1, func(w []float64) {
		if !slices.Equal(w, first) {
			t.Errorf("the same arguments draw %v, then %v", first, w)
		}
	})
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	drawn := make([]float64, 1000)
	for i := range drawn {
		drawn[i] = float64((i*7)%1000) / 1000
	}
	if got := metrics.Percentiles(0.4, drawn); got.Value != 0.4 || !near(got.Low, 0.025, .002) || !near(got.High, 0.975, .002) {
		t.Errorf("%+v", got)
	}
}

func TestTwoSided(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		drawn []float64
		want  float64
	}{
		{[]float64{1, 2, 3}, 2. / 4}, // (0 + 1) · 2 ÷ (3 + 1)
		{[]float64{-1, -1, 1, 1, 1, 1, 1, 1, 1}, 6. / 10},
		{[]float64{0, 0, 0}, 1},
		{[]float64{-1, 1}, 1},
	} {
		if got := metrics.TwoSided(test.drawn); !near(got, test.want, 1e-12) {
			t.Errorf("%v: %v, want %v", test.drawn, got, test.want)
		}
	}
}
