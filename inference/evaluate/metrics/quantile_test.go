package metrics_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

// Quantiles of samples and of Student's distribution are those of a library of statistics, to the last digits.
func TestQuantilesAreThoseOfGonum(t *testing.T) {
	t.Parallel()
	same := func(what string, got, want float64) {
		t.Helper()
		if !near(got, want, 1e-12*math.Abs(want)) {
			t.Errorf("%s: %.17g, gonum has %.17g", what, got, want)
		}
	}
	random := rand.New(rand.NewPCG(5, 7))
	for _, size := range []int{1, 2, 3, 19, 20, 39, 40, 41, 80, 1000, 1001} {
		drawn := make([]float64, size)
		for i := range drawn {
			drawn[i] = random.NormFloat64()
		}
		got := metrics.Percentiles(0, drawn)
		slices.Sort(drawn)
		same("low", got.Low, stat.Quantile(0.025, stat.LinInterp, drawn, nil))
		same("high", got.High, stat.Quantile(0.975, stat.LinInterp, drawn, nil))
		for _, share := range []float64{0, 0.5, 0.95, 1} {
			same("a share", metrics.Quantile(share, drawn), stat.Quantile(share, stat.LinInterp, drawn, nil))
		}
	}
	z := distuv.UnitNormal.Quantile(0.975)
	for subjects := 2; subjects <= 500; subjects++ {
		// Nothing hit among pairs: as many trials as subjects, corrected for the number of subjects.
		sizes := slices.Repeat([]float64{2}, subjects)
		q := distuv.StudentsT{Sigma: 1, Nu: float64(subjects - 1)}.Quantile(0.975)
		same("effective size", metrics.EffectiveSize(make([]float64, subjects), sizes), max(1, float64(subjects)*(z/q)*(z/q)))
	}
}
