package metrics_test

import (
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func scores(live, fake []float64) (all []metrics.Score) {
	for _, v := range live {
		all = append(all, metrics.Score{Likelihood: v})
	}
	for _, v := range fake {
		all = append(all, metrics.Score{Likelihood: v, Fake: true})
	}
	return all
}

// The 20 instances of Fawcett 2006 (Pattern Recognition Letters 27, figure 3): 68 of the 100 pairs are in order.
func fawcett() []metrics.Score {
	return scores(
		[]float64{.7, .53, .52, .505, .39, .37, .36, .35, .33, .1},
		[]float64{.9, .8, .6, .55, .54, .51, .4, .38, .34, .30})
}

func TestAUC(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		scores []metrics.Score
		want   float64
	}{
		{"Fawcett", fawcett(), 0.68},
		{"the example of scikit-learn's roc_auc_score", scores([]float64{.1, .4}, []float64{.35, .8}), 0.75},
		{"perfect", scores([]float64{.1, .2}, []float64{.3, .4}), 1},
		{"reversed", scores([]float64{.3, .4}, []float64{.1, .2}), 0},
		{"ties count half", scores([]float64{.5, .5}, []float64{.5, .9}), 0.75},
	} {
		if got := metrics.Rank(test.scores).Curve(nil, nil).AUC(); !near(got, test.want, 1e-12) {
			t.Errorf("%s: %.6f, want %.6f", test.name, got, test.want)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	ranking := metrics.Rank(fawcett())
	// Fawcett: above 0.53 half of the positives are found, and one negative in ten.
	if got := ranking.At(0.53, nil); got != (metrics.Point{Threshold: 0.53, APCER: 0.5, BPCER: 0.1}) {
		t.Errorf("above 0.53: %+v", got)
	}
	weights := make([]float64, 20)
	weights[0], weights[1], weights[10], weights[11], weights[19] = 3, 1, 1, 1, 2 // live .7 and .53, fakes .9, .8 and .30
	if got := ranking.At(0.53, weights); got != (metrics.Point{Threshold: 0.53, APCER: 0.5, BPCER: 0.75}) {
		t.Errorf("weighted: %+v", got)
	}
}

func TestEER(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		scores          []metrics.Score
		rate, threshold float64
	}{
		{"on a point", scores([]float64{.1, .2, .3, .6}, []float64{.5, .7, .8, .9}), 0.25, 0.55},
		// From APCER 0 and BPCER 1/3 to 1/2 and 1/3: the diagonal is met at 1/3, nearer to the second.
		{"between points", scores([]float64{.1, .2, .6}, []float64{.5, .9}), 1. / 3, 0.55},
		{"perfect", scores([]float64{.1, .2}, []float64{.8, .9}), 0, 0.5},
		{"reversed", scores([]float64{.8, .9}, []float64{.1, .2}), 1, 0.5},
		{"all the same", scores([]float64{.4, .4}, []float64{.4}), 0.5, 0.7},
	} {
		if rate, threshold := metrics.Rank(test.scores).Curve(nil, nil).EER(); !near(rate, test.rate, 1e-12) || !near(threshold, test.threshold, 1e-12) {
			t.Errorf("%s: %.4f at %.4f, want %.4f at %.4f", test.name, rate, threshold, test.rate, test.threshold)
		}
	}
}

func TestOperatingPoints(t *testing.T) {
	t.Parallel()
	curve := metrics.Rank(scores(
		[]float64{.05, .10, .20, .30, .60},
		[]float64{.15, .40, .70, .80, .90})).Curve(nil, nil)
	for _, test := range []struct {
		name string
		got  metrics.Point
		want metrics.Point
	}{
		{"no fake passes", curve.AtAPCER(0), metrics.Point{Threshold: .125, BPCER: .6}},
		{"just below a fifth", curve.AtAPCER(.19), metrics.Point{Threshold: .125, BPCER: .6}},
		{"a fifth of the fakes", curve.AtAPCER(.2), metrics.Point{Threshold: .35, APCER: .2, BPCER: .2}},
		{"all fakes", curve.AtAPCER(1), metrics.Point{Threshold: .95, APCER: 1}},
		{"no live one refused", curve.AtBPCER(0), metrics.Point{Threshold: .65, APCER: .4}},
		{"a fifth of the live", curve.AtBPCER(.2), metrics.Point{Threshold: .35, APCER: .2, BPCER: .2}},
		{"all live ones", curve.AtBPCER(1), metrics.Point{Threshold: .025, BPCER: 1}},
		{"least ACER", curve.Best(), metrics.Point{Threshold: .35, APCER: .2, BPCER: .2}},
	} {
		if !near(test.got.Threshold, test.want.Threshold, 1e-12) || !near(test.got.APCER, test.want.APCER, 1e-12) || !near(test.got.BPCER, test.want.BPCER, 1e-12) {
			t.Errorf("%s: %+v, want %+v", test.name, test.got, test.want)
		}
	}
	if got := curve.Best().ACER(); !near(got, .2, 1e-12) {
		t.Errorf("ACER %v", got)
	}
}

// An independent implementation must find the same curve, with ties and with weights.
func TestCurveIsThatOfGonum(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]metrics.Score, 500)
	weights, y, classes := make([]float64, len(all)), make([]float64, len(all)), make([]bool, len(all))
	for i := range all {
		all[i] = metrics.Score{Likelihood: float64(random.IntN(80)) / 80, Fake: random.IntN(3) == 0}
		weights[i] = float64(random.IntN(4))
		y[i], classes[i] = all[i].Likelihood, all[i].Fake
	}
	curve := metrics.Rank(all).Curve(nil, weights)
	sortedWeights := append([]float64(nil), weights...)
	stat.SortWeightedLabeled(y, classes, sortedWeights)
	tpr, fpr, _ := stat.ROC(nil, y, classes, sortedWeights)
	if len(tpr) != len(curve) {
		t.Fatalf("%d points, gonum has %d", len(curve), len(tpr))
	}
	for i, p := range curve {
		at := len(curve) - 1 - i
		if !near(p.APCER, 1-tpr[at], 1e-9) || !near(p.BPCER, fpr[at], 1e-9) {
			t.Fatalf("point %d: %+v, gonum has %v, %v", i, p, 1-tpr[at], fpr[at])
		}
		if direct := metrics.Rank(all).At(p.Threshold, weights); i > 0 && (!near(direct.APCER, p.APCER, 1e-9) || !near(direct.BPCER, p.BPCER, 1e-9)) {
			t.Fatalf("at %v: %+v, on the curve %+v", p.Threshold, direct, p)
		}
	}
	if got, want := curve.AUC(), integrate.Trapezoidal(fpr, tpr); !near(got, want, 1e-9) {
		t.Errorf("AUC %v, gonum has %v", got, want)
	}
	thinned := curve.Thinned(20)
	if len(thinned) >= len(curve) || thinned[0] != curve[0] || thinned[len(thinned)-1] != curve[len(curve)-1] || !near(thinned.AUC(), curve.AUC(), .01) {
		t.Errorf("thinned to %d of %d points, AUC %v of %v", len(thinned), len(curve), thinned.AUC(), curve.AUC())
	}
}
