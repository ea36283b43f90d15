package htmlreport

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"gonum.org/v1/gonum/mathext"
)

// chart is one drawing in SVG. Its colours are classes of the page's style sheet, so that it is right in the dark and on paper;
// it has neither scripts nor styles of its own, which a content policy would keep out.
type chart struct {
	strings.Builder
	width, height            float64
	left, top, right, bottom float64 // margins of the plotted area
	x, y                     axis
}

// axis turns a value into a share of the plotted area.
type axis struct {
	low, high float64
	scale     func(float64) float64
}

func linear(v float64) float64 { return v }

// probit is the scale of DET curves, on which those of normally distributed scores are straight lines (Martin et al. 1997).
func probit(v float64) float64 { return mathext.NormalQuantile(v) }

func (a axis) at(v float64) float64 {
	v = min(max(v, a.low), a.high)
	return (a.scale(v) - a.scale(a.low)) / (a.scale(a.high) - a.scale(a.low))
}

// newChart begins a drawing; what it shows is said in words for those who do not see it.
func newChart(width, height float64, says string, x, y axis) *chart {
	c := &chart{width: width, height: height, left: 52, top: 12, right: 14, bottom: 42, x: x, y: y}
	fmt.Fprintf(c, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, html.EscapeString(says))
	return c
}

func (c *chart) end() template.HTML {
	c.WriteString("</svg>")
	return template.HTML(c.String()) // #nosec G203 -- texts are escaped where they are written
}

func (c *chart) px(v float64) float64 { return c.left + c.x.at(v)*(c.width-c.left-c.right) }
func (c *chart) py(v float64) float64 {
	return c.height - c.bottom - c.y.at(v)*(c.height-c.top-c.bottom)
}

func (c *chart) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (c *chart) text(class string, x, y float64, text string) {
	fmt.Fprintf(c, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, html.EscapeString(text))
}

// dot marks a value; hovering over it says what it is.
func (c *chart) dot(class string, x, y, r float64, says string) {
	fmt.Fprintf(c, `<circle class="%s" cx="%.1f" cy="%.1f" r="%g"><title>%s</title></circle>`, class, x, y, r, html.EscapeString(says))
}

func (c *chart) bar(class string, x, y, w, h float64, says string) {
	fmt.Fprintf(c, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
		class, x, y, max(w, 0), max(h, 0), html.EscapeString(says))
}

// path joins points, in values of the axes.
func (c *chart) path(class string, points [][2]float64, says string) {
	fmt.Fprintf(c, `<path class="%s" d="`, class)
	for i, p := range points {
		fmt.Fprintf(c, "%s%.1f %.1f", []string{"L", "M"}[b2i(i == 0)], c.px(p[0]), c.py(p[1]))
	}
	fmt.Fprintf(c, `"><title>%s</title></path>`, html.EscapeString(says))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// axes draws grid, ticks and names.
func (c *chart) axes(xName, yName string, xTicks, yTicks []float64, xText, yText func(float64) string) {
	bottom, right := c.height-c.bottom, c.width-c.right
	for _, v := range xTicks {
		c.line("grid", c.px(v), c.top, c.px(v), bottom)
		c.text("tick mid", c.px(v), bottom+16, xText(v))
	}
	for _, v := range yTicks {
		c.line("grid", c.left, c.py(v), right, c.py(v))
		c.text("tick end", c.left-7, c.py(v)+4, yText(v))
	}
	c.line("axis", c.left, bottom, right, bottom)
	c.line("axis", c.left, c.top, c.left, bottom)
	c.text("name mid", (c.left+right)/2, c.height-6, xName)
	fmt.Fprintf(c, `<text class="name mid" transform="translate(13 %.1f) rotate(-90)">%s</text>`, (c.top+bottom)/2, html.EscapeString(yName))
}

// share writes a share as a tick: 5, 0.1, without the sign, which the name of the axis has.
func share(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", 100*v), ".0") }

func plain(v float64) string { return fmt.Sprintf("%.1f", v) }

// steps returns the numbers from 0 to to, by apart.
func steps(to, by float64) []float64 {
	var all []float64
	for i := 0; float64(i)*by <= to+1e-9; i++ {
		all = append(all, math.Round(float64(i)*by*1e6)/1e6)
	}
	return all
}
