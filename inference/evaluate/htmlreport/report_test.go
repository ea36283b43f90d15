package htmlreport_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference/evaluate"
	"github.com/pas-ta/liveness/inference/evaluate/htmlreport"
)

// figures are those of two packs on pictures that are not there, so that the gallery says so.
func figures(names ...string) evaluate.Figures {
	c := evaluate.Collection{Source: "<collection> & co", Remarks: []string{"columns not used: <camera>"}}
	var judged []evaluate.Judged
	for _, name := range names {
		judged = append(judged, evaluate.Judged{Pack: evaluate.Pack{Name: name, ID: name + "-1", Hash: "0123456789abcdef", Threshold: 0.15, Workers: 2}})
	}
	for i := range 60 {
		p := evaluate.Picture{File: "<script>alert(1)</script>.jpg", Path: "/nowhere", Subject: string(rune('a' + i%7)), Set: []string{"one", "two"}[i%2]}
		if p.Fake = i%3 == 0; p.Fake {
			p.Attack = []string{"print", "<b>screen"}[i%2]
		}
		c.Pictures = append(c.Pictures, p)
		for k := range judged {
			likelihood := math.Mod(float64(i*(k+3))*0.37, 1)
			judged[k].Outcomes = append(judged[k].Outcomes, evaluate.Outcome{Likelihood: likelihood, Valid: i%5 > 0, Issues: []string{"<too_dark>"},
				Brightness: float64(i * 4), Side: float64(i * 5), Sharpness: likelihood / 5, Width: 640, Height: 480})
		}
	}
	return evaluate.NewFigures(c, judged, 3)
}

func write(t *testing.T, f evaluate.Figures) string {
	t.Helper()
	var out bytes.Buffer
	if err := htmlreport.Write(t.Context(), &out, f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReportIsSelfContained(t *testing.T) {
	t.Parallel()
	page := write(t, figures("default", "other <pack>"))
	for _, never := range []string{"<script", "http://", "https://", " style=", "onload", "url(", "<link", "@import", "<camera>", "<b>screen", "<pack>", "NaN", "Inf", "%!"} {
		if strings.Contains(page, never) {
			at := strings.Index(page, never)
			t.Errorf("the report has %q: …%s…", never, page[max(at-60, 0):min(at+60, len(page))])
		}
	}
	for _, want := range []string{
		"default-src &#39;none&#39;; style-src &#39;sha256-", "APCER", "BPCER", "DET", "ROC", "Brier", "ISO/IEC 30107-3", "prefers-color-scheme: dark", "@media print",
		"leave", "no such file", "paired bootstrap", "By collection", "Only 7 people", "below 64", "256 and more",
	} {
		if want != "leave" && !strings.Contains(page, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

// Browsers mend what is not well-formed, each in its own way.
func TestChartsAreWellFormed(t *testing.T) {
	t.Parallel()
	page := write(t, figures("one", "two", "three"))
	charts := strings.Split(page, "<svg ")[1:]
	if len(charts) < 3+3*3 {
		t.Fatalf("%d charts", len(charts))
	}
	for _, chart := range charts {
		chart, _, _ = strings.Cut("<svg "+chart, "</svg>")
		decoder := xml.NewDecoder(strings.NewReader(chart + "</svg>"))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, chart)
			}
		}
	}
}

// One pack has nothing to be compared with, and a pack that finds no face has no rates.
func TestReportOfLittle(t *testing.T) {
	t.Parallel()
	if page := write(t, figures("alone")); strings.Contains(page, "paired bootstrap by subject") {
		t.Error("a single pack is compared")
	}
	c := evaluate.Collection{Source: "s", Pictures: []evaluate.Picture{{File: "a"}, {File: "b", Fake: true, Attack: "print"}}}
	none := evaluate.Outcome{Refusal: "no_face"}
	blind := evaluate.Judged{Pack: evaluate.Pack{Name: "blind", Threshold: .15}, Outcomes: []evaluate.Outcome{none, none}}
	half := evaluate.Judged{Pack: evaluate.Pack{Name: "half", Threshold: .15}, Outcomes: []evaluate.Outcome{{Likelihood: .2}, none}}
	for _, judged := range [][]evaluate.Judged{{blind}, {half}, {blind, half}, {half, blind}} {
		if page := write(t, evaluate.NewFigures(c, judged, 3)); strings.Contains(page, "NaN") || !strings.Contains(page, "No picture names its subject") {
			t.Errorf("%s: %d bytes", judged[0].Pack.Name, len(page))
		}
	}
}
