package main

import (
	"fmt"
	"html/template"
	"os"
	"strings"
	"testing"
	"time"
)

// The picture's measures, in pixels.
const (
	soakLeft, soakWidth      = 70, 760
	soakPanel, soakGap       = 130, 46
	soakLegend               = 170
	soakTop, soakPictureSide = 60, soakLeft + soakWidth + soakLegend
)

// soakColours are those of the parts, in the order in which they are first seen.
var soakColours = []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"}

// soakPanelDrawn is one measure: a line for each curve, below each other.
type soakPanelDrawn struct {
	Title       string
	Y, Bottom   int
	Most        string
	Lines       []soakLine
	RestartedAt []int
}

type soakLine struct {
	Colour, Points string
}

type soakPart struct {
	Name, Colour string
	Y            int
}

// draw writes the curves as SVG.
func (s *soak) draw(file string) (err error) {
	length, colours, legend := s.length(), map[string]string{}, []soakPart{}
	for _, c := range s.curves {
		if colours[c.part] == "" {
			colours[c.part] = soakColours[len(legend)%len(soakColours)]
			legend = append(legend, soakPart{c.part, colours[c.part], soakTop + 14 + 18*len(legend)})
		}
	}
	x := func(at time.Duration) int { return soakLeft + int(float64(soakWidth)*at.Seconds()/length.Seconds()) }
	var panels []soakPanelDrawn
	for measure, m := range soakMeasures {
		top := soakTop + measure*(soakPanel+soakGap)
		most := s.most(measure)
		panel := soakPanelDrawn{Title: m.name, Y: top, Bottom: top + soakPanel, Most: fmt.Sprintf("%.4g", most)}
		for _, c := range s.curves {
			if c.measure != measure {
				continue
			}
			var points strings.Builder
			for i, value := range c.values {
				fmt.Fprintf(&points, "%d,%d ", x(c.at[i]), panel.Bottom-int(value/most*soakPanel))
			}
			panel.Lines = append(panel.Lines, soakLine{colours[c.part], points.String()})
		}
		for _, at := range s.restarts {
			panel.RestartedAt = append(panel.RestartedAt, x(at))
		}
		panels = append(panels, panel)
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
	return soakTemplate.Execute(out, map[string]any{
		"Panels": panels, "Legend": legend, "Length": length.Round(time.Second).String(), "Left": soakLeft, "Right": soakLeft + soakWidth,
		"Label": soakLeft - 8, "Names": soakLeft + soakWidth + 16, "Width": soakPictureSide,
		"Height": soakTop + len(panels)*(soakPanel+soakGap), "Panel": soakPanel, "Across": soakWidth,
	})
}

func (s *soak) length() time.Duration {
	length := time.Second
	for _, c := range s.curves {
		length = max(length, c.at[len(c.at)-1])
	}
	return length
}

// most returns the largest value of a measure, above 0.
func (s *soak) most(measure int) float64 {
	most := 1e-3
	for _, c := range s.curves {
		for _, value := range c.values {
			if c.measure == measure {
				most = max(most, value)
			}
		}
	}
	return most
}

var soakTemplate = template.Must(template.New("soak").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="22" font-size="14" font-weight="bold">Two API nodes, a worker and the event store under mixed load for {{.Length}}; dashed: a node or the worker is restarted</text>
{{range .Legend}}<rect x="{{$.Names}}" y="{{.Y}}" width="12" height="4" fill="{{.Colour}}"/><text x="{{$.Names}}" dx="18" y="{{.Y}}" dy="6">{{.Name}}</text>
{{end}}{{range .Panels}}<g>
<text x="{{$.Left}}" y="{{.Y}}" dy="-5" font-weight="bold">{{.Title}}</text>
<rect x="{{$.Left}}" y="{{.Y}}" width="{{$.Across}}" height="{{$.Panel}}" fill="none" stroke="#999"/>
<text x="{{$.Label}}" y="{{.Y}}" dy="10" text-anchor="end">{{.Most}}</text><text x="{{$.Label}}" y="{{.Bottom}}" text-anchor="end">0</text>
<text x="{{$.Left}}" y="{{.Bottom}}" dy="14">0s</text><text x="{{$.Right}}" y="{{.Bottom}}" dy="14" text-anchor="end">{{$.Length}}</text>
{{$panel := .}}{{range .RestartedAt}}<line x1="{{.}}" x2="{{.}}" y1="{{$panel.Y}}" y2="{{$panel.Bottom}}" stroke="#999" stroke-dasharray="3 3"/>
{{end}}{{range .Lines}}<polyline fill="none" stroke="{{.Colour}}" stroke-width="1.5" points="{{.Points}}"/>
{{end}}</g>
{{end}}</svg>
`))

// The picture names each part once and shows every curve.
func TestSoakIsDrawn(t *testing.T) {
	t.Parallel()
	s := soak{restarts: []time.Duration{time.Second}, curves: []*soakCurve{
		{part: "api0", pid: 1, measure: soakMemory, at: []time.Duration{0, 2 * time.Second}, values: []float64{10, 20}},
		{part: "api0", pid: 2, measure: soakMemory, at: []time.Duration{3 * time.Second, 4 * time.Second}, values: []float64{5, 15}},
		{part: "all", measure: soakP99, at: []time.Duration{4 * time.Second}, values: []float64{80}},
	}}
	file := t.TempDir() + "/soak.svg"
	if err := s.draw(file); err != nil {
		t.Fatal(err)
	}
	drawn, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{
		"<polyline": 3, ">api0<": 1, `points="70,125 450,60 "`: 1, `points="640,158 830,93 "`: 1, "stroke-dasharray": len(soakMeasures), ">4s<": len(soakMeasures),
	} {
		if got := strings.Count(string(drawn), text); got != times {
			t.Errorf("%q stands there %d times, want %d", text, got, times)
		}
	}
}
