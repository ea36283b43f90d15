package htmlreport

import (
	"fmt"
	"html/template"
	"maps"
	"slices"

	"github.com/pas-ta/liveness/inference/evaluate"
	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

var unit = axis{0, 1, linear}

// series is the class of the colour and dashes of a pack, by its place.
func series(i int) string { return fmt.Sprintf("s%d", i%6) }

// rocChart draws how many fakes are detected at each share of live people called fake.
func rocChart(packs []evaluate.PackFigures) template.HTML {
	c := newChart(460, 400, "ROC curves: fakes detected over live people called fake", unit, unit)
	c.axes("BPCER, %: live called fake", "1 − APCER, %: fakes detected", steps(1, .2), steps(1, .2), share, share)
	c.path("guide", [][2]float64{{0, 0}, {1, 1}}, "chance")
	for i, p := range packs {
		points := [][2]float64{}
		for _, at := range p.Curve {
			points = append(points, [2]float64{at.BPCER, 1 - at.APCER})
		}
		c.path("curve "+series(i), points, fmt.Sprintf("%s: AUC %.3f", p.Name, p.AUC.Value))
		c.dot("mark "+series(i), c.px(p.BPCER.Value), c.py(1-p.APCER.Value), 5, operating(p))
	}
	return c.end()
}

// detChart draws both error rates on probit scales.
func detChart(packs []evaluate.PackFigures) template.HTML {
	scale := axis{0.001, 0.95, probit}
	ticks := []float64{.001, .005, .01, .02, .05, .1, .2, .4, .6, .8, .95}
	c := newChart(460, 400, "DET curves: BPCER over APCER on normal deviate scales", scale, scale)
	c.axes("APCER, %: fakes that pass", "BPCER, %: live called fake", ticks, ticks, share, share)
	c.path("guide", [][2]float64{{.001, .001}, {.95, .95}}, "equal error rates")
	for i, p := range packs {
		points := [][2]float64{}
		for _, at := range p.Curve {
			points = append(points, [2]float64{at.APCER, at.BPCER})
		}
		c.path("curve "+series(i), points, fmt.Sprintf("%s: EER %s", p.Name, percent(p.EER.Value)))
		c.dot("mark "+series(i), c.px(p.APCER.Value), c.py(p.BPCER.Value), 5, operating(p))
	}
	return c.end()
}

func operating(p evaluate.PackFigures) string {
	return fmt.Sprintf("%s at %.3g: APCER %s, BPCER %s", p.Name, p.Threshold, percent(p.APCER.Value), percent(p.BPCER.Value))
}

// ratesChart draws the error rates at the threshold with their intervals, by type of attack and for live people.
func ratesChart(f evaluate.Figures) template.HTML {
	type row struct {
		name string
		of   func(evaluate.PackFigures) metrics.Rate
	}
	var rows []row
	for i, attack := range f.Attacks {
		rows = append(rows, row{"APCER " + attack.Name, func(p evaluate.PackFigures) metrics.Rate { return p.Attacks[i].APCER }})
	}
	rows = append(rows,
		row{"APCER all attacks", func(p evaluate.PackFigures) metrics.Rate { return p.APCER }},
		row{"BPCER live", func(p evaluate.PackFigures) metrics.Rate { return p.BPCER }})
	const lineHeight = 15.0
	block := lineHeight*float64(len(f.Packs)) + 12
	c := newChart(940, 54+block*float64(len(rows)), "Error rates with 95 % intervals, by type of attack", unit, unit)
	c.left, c.top = 190, 4
	c.axes("error rate, %, with 95 % interval", "", steps(1, .1), nil, share, share)
	for i, r := range rows {
		y := c.top + block*float64(i)
		c.text("label end", c.left-12, y+block/2+4, r.name)
		if i > 0 {
			c.line("grid", 0, y, c.width-c.right, y)
		}
		for k, p := range f.Packs {
			rate, at := r.of(p), y+6+lineHeight*(float64(k)+.5)
			if rate.Of == 0 {
				c.text("tick", c.left+6, at+4, "none judged")
				continue
			}
			c.line("whisker "+series(k), c.px(rate.Low), at, c.px(rate.High), at)
			c.dot("mark "+series(k), c.px(rate.Value), at, 4.5, fmt.Sprintf("%s, %s: %s %s", p.Name, r.name, percent(rate.Value), counted(rate)))
		}
	}
	return c.end()
}

// thresholdChart draws both error rates over the threshold.
func thresholdChart(p evaluate.PackFigures) template.HTML {
	c := newChart(460, 300, "APCER and BPCER over the threshold", unit, unit)
	c.axes("threshold", "error rate, %", steps(1, .1), steps(1, .2), plain, share)
	var apcer, bpcer [][2]float64
	for i, at := range p.Curve {
		if i > 0 { // a step where a likelihood lies
			apcer = append(apcer, [2]float64{at.Threshold, p.Curve[i-1].APCER})
			bpcer = append(bpcer, [2]float64{at.Threshold, p.Curve[i-1].BPCER})
		}
		apcer = append(apcer, [2]float64{at.Threshold, at.APCER})
		bpcer = append(bpcer, [2]float64{at.Threshold, at.BPCER})
	}
	c.path("curve fake", apcer, "APCER: fakes that pass")
	c.path("curve live", bpcer, "BPCER: live called fake")
	c.threshold(p.Threshold)
	return c.end()
}

func (c *chart) threshold(v float64) {
	c.line("threshold", c.px(v), c.top, c.px(v), c.height-c.bottom)
	c.text("tick strong", c.px(v)+5, c.top+10, fmt.Sprintf("%.3g", v))
}

// histogramChart draws the likelihoods of live pictures above the line and those of fakes, by type, below it.
func histogramChart(p evaluate.PackFigures) template.HTML {
	live, fake := sum(p.Histogram.Live), 0
	for _, bins := range p.Histogram.Fakes {
		fake += sum(bins)
	}
	tallest := 0.05
	for i := range p.Histogram.Live {
		together := 0
		for _, bins := range p.Histogram.Fakes {
			together += bins[i]
		}
		tallest = max(tallest, ratio(p.Histogram.Live[i], live), ratio(together, fake))
	}
	by := 0.1
	if tallest > .5 {
		by = .25
	}
	c := newChart(460, 300, "Distribution of likelihoods: live up, fakes down", unit, axis{-tallest, tallest, linear})
	ticks := steps(tallest, by)
	for _, v := range ticks[1:] {
		ticks = append(ticks, -v)
	}
	c.axes("likelihood of a fake", "fakes, %  ·  live, %", steps(1, .1), ticks, plain, func(v float64) string { return share(max(v, -v)) })
	width := (c.px(1) - c.px(0)) / float64(len(p.Histogram.Live))
	for i, n := range p.Histogram.Live {
		x, from := c.px(0)+width*float64(i)+.5, float64(i)/float64(len(p.Histogram.Live))
		if top := c.py(ratio(n, live)); n > 0 {
			c.bar("bar live", x, top, width-1, c.py(0)-top, fmt.Sprintf("%d live pictures from %.2f", n, from))
		}
		below := c.py(0)
		for k, attack := range slices.Sorted(maps.Keys(p.Histogram.Fakes)) {
			if n := p.Histogram.Fakes[attack][i]; n > 0 {
				height := c.py(0) - c.py(ratio(n, fake))
				c.bar(fmt.Sprintf("bar fake a%d", k%5), x, below, width-1, height, fmt.Sprintf("%d fakes (%s) from %.2f", n, attack, from))
				below += height
			}
		}
	}
	c.line("axis", c.left, c.py(0), c.width-c.right, c.py(0))
	c.threshold(p.Threshold)
	return c.end()
}

// calibrationChart draws the share of fakes among the pictures of about the same likelihood.
func calibrationChart(p evaluate.PackFigures) template.HTML {
	c := newChart(460, 300, "Calibration: share of fakes over likelihood", unit, unit)
	c.axes("likelihood of a fake", "share of fakes, %", steps(1, .1), steps(1, .2), plain, share)
	c.path("guide", [][2]float64{{0, 0}, {1, 1}}, "perfectly calibrated")
	for _, bin := range p.Calibration.Bins {
		c.dot("mark s0", c.px(bin.Mean), c.py(bin.Fakes), 3+9*bin.Weight,
			fmt.Sprintf("%d pictures of likelihood about %.2f: %s fakes", bin.Count, bin.Mean, percent(bin.Fakes)))
	}
	return c.end()
}

func sum(of []int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}

func ratio(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
