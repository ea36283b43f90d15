// Package htmlreport shows the figures of an evaluation as one HTML file for people: it needs no network and no scripts, obeys a
// content policy of its own, and can be printed.
package htmlreport

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/pas-ta/liveness/inference/evaluate"
)

var (
	//go:embed report.html
	page string
	//go:embed report.css
	style string
)

var layout = template.Must(template.New("report").Funcs(template.FuncMap{
	"percent": percent, "interval": interval, "counted": counted, "points": points, "number": number,
	"series": series, "heat": heat, "reading": reading,
	"roc": rocChart, "det": detChart, "rates": ratesChart,
	"thresholds": thresholdChart, "histogram": histogramChart, "calibration": calibrationChart,
	"attackClass": func(i int) string { return fmt.Sprintf("a%d", i%5) },
	"short":       func(hash string) string { return hash[:min(12, len(hash))] },
}).Parse(page))

// shown is what the template gets.
type shown struct {
	evaluate.Figures
	Style    template.CSS
	Policy   string
	Cautions []string
	Mistakes [][]thumbnail // by pack
	Bands    []measure
	Codes    []string
}

// measure is a property of pictures by which errors are split.
type measure struct {
	Name, Unit, Of string
	Rows           []bandRow
}

type bandRow struct {
	Name  string
	Packs []evaluate.Band
}

// thumbnail is a picture of the gallery.
type thumbnail struct {
	evaluate.Mistake
	Data          template.URL
	Width, Height int
	Gone          string // why there is none
}

// Write writes the report. It reads the pictures of the gallery once more.
func Write(ctx context.Context, w io.Writer, f evaluate.Figures) error {
	sum := sha256.Sum256([]byte(style))
	view := shown{
		Figures: f, Style: template.CSS(style), Cautions: cautions(f), // #nosec G203 -- embedded
		Policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'",
			base64.StdEncoding.EncodeToString(sum[:])),
		Bands: []measure{
			bandsOf("Brightness of the face", "mean luma, 0 to 255", f, func(p evaluate.PackFigures) []evaluate.Band { return p.Brightness }),
			bandsOf("Size of the face", "side in pixels", f, func(p evaluate.PackFigures) []evaluate.Band { return p.Side }),
			bandsOf("Sharpness of the face", "fine detail ÷ contrast", f, func(p evaluate.PackFigures) []evaluate.Band { return p.Sharpness }),
		},
		Codes: codes(f),
	}
	for _, p := range f.Packs {
		var all []thumbnail
		for _, mistake := range p.Worsts {
			t := thumbnail{Mistake: mistake}
			picture, width, height, err := evaluate.Thumbnail(ctx, mistake)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				t.Gone = err.Error()
			} else {
				t.Data = template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(picture)) // #nosec G203 -- made here
				t.Width, t.Height = width, height
			}
			all = append(all, t)
		}
		view.Mistakes = append(view.Mistakes, all)
	}
	if err := layout.Execute(w, view); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// bandsOf lines up the bands of all packs: each measures brightness and face on its own.
func bandsOf(name, unit string, f evaluate.Figures, of func(evaluate.PackFigures) []evaluate.Band) measure {
	m := measure{Name: name, Unit: unit}
	byFrom := map[float64][]evaluate.Band{}
	var froms []float64
	for i, p := range f.Packs {
		for _, band := range of(p) {
			if byFrom[band.From] == nil {
				byFrom[band.From] = make([]evaluate.Band, len(f.Packs))
				froms = append(froms, band.From)
			}
			byFrom[band.From][i] = band
		}
	}
	for _, from := range sorted(froms) {
		row := bandRow{Packs: byFrom[from]}
		for _, band := range row.Packs {
			if band.APCER.Of+band.BPCER.Of > 0 {
				row.Name = bandName(band)
			}
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// Box returns where the judged face lies on the thumbnail.
func (t thumbnail) Box() evaluate.Face {
	if t.Outcome.Width == 0 {
		return evaluate.Face{}
	}
	scale, f := float64(t.Width)/float64(t.Outcome.Width), t.Outcome.Face
	return evaluate.Face{X: f.X * scale, Y: f.Y * scale, W: f.W * scale, H: f.H * scale}
}
