package main

import (
	"fmt"
	"html/template"
	"math"
	"os"
)

// The plot's measures, in pixels.
const (
	labelWidth, barWidth, valueWidth = 430, 420, 330
	lineHeight, headHeight           = 18, 46
	widestRatio                      = 8.0 // on either side of the target
)

// plotted is one bar: how far a row's target is reached, on a logarithmic axis with the target in its middle.
type plotted struct {
	Label, Value string
	Y, X, Width  int
	OK           bool
}

// writePlot draws every row that has a target as SVG.
func (r report) writePlot(file string) (err error) {
	const middle = labelWidth + barWidth/2
	var bars []plotted
	for _, row := range r.Rows {
		if row.Target == nil {
			continue
		}
		half := math.Log(min(max(row.reached(), 1/widestRatio), widestRatio)) / math.Log(widestRatio) * barWidth / 2
		value := quantity(row.Measured, row.Unit)
		if row.Target.OfRatio {
			value = fmt.Sprintf("%s, ratio %.2f", value, row.ratio())
		}
		bars = append(bars, plotted{
			Label: row.Section + ": " + row.Name, Value: value + "  (" + row.bound() + ")", OK: row.verdict() == "ok",
			Y: headHeight + len(bars)*lineHeight, X: int(min(middle, middle+half)), Width: max(int(math.Abs(half)), 1),
		})
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closing := out.Close(); err == nil {
			err = closing
		}
	}()
	return plotTemplate.Execute(out, map[string]any{
		"Bars": bars, "Machine": r.Machine.String(), "Middle": middle, "Label": labelWidth - 8, "Value": labelWidth + barWidth + 8,
		"Width": labelWidth + barWidth + valueWidth, "Bottom": headHeight + len(bars)*lineHeight, "Height": headHeight + len(bars)*lineHeight + 30,
		"Left": labelWidth, "Right": labelWidth + barWidth,
	})
}

var plotTemplate = template.Must(template.New("plot").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="20" font-size="14" font-weight="bold">How far each target is reached</text>
<text x="8" y="37" fill="#555">{{.Machine}}</text>
{{range .Bars}}<text x="{{$.Label}}" y="{{.Y}}" dy="13" text-anchor="end">{{.Label}}</text>
<rect x="{{.X}}" y="{{.Y}}" dy="2" width="{{.Width}}" height="14" fill="{{if .OK}}#2a8f5b{{else}}#c0392b{{end}}"/>
<text x="{{$.Value}}" y="{{.Y}}" dy="13" fill="#333">{{.Value}}</text>
{{end}}<line x1="{{.Middle}}" x2="{{.Middle}}" y1="42" y2="{{.Bottom}}" stroke="#222"/>
<text x="{{.Middle}}" y="{{.Bottom}}" dy="18" text-anchor="middle">target</text>
<text x="{{.Left}}" y="{{.Bottom}}" dy="18">⅛ of it</text>
<text x="{{.Right}}" y="{{.Bottom}}" dy="18" text-anchor="end">8 times better</text>
</svg>
`))
