package evaluate

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteScores writes a line of CSV for each picture and pack, with everything that the figures are made of.
func WriteScores(w io.Writer, c Collection, judged []Judged) error {
	out := csv.NewWriter(w)
	lines := [][]string{{
		"pack", "file", "label", "attack", "subject", "set",
		"outcome", "fake_likelihood", "threshold", "verdict", "error", "valid_face", "issues",
		"face_brightness", "face_side", "sharpness", "faces", "rotated", "image_width", "image_height", "ms", "scores",
	}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	for _, j := range judged {
		for i, p := range c.Pictures {
			o, label := j.Outcomes[i], "live"
			if p.Fake {
				label = "fake"
			}
			line := []string{noFormula(j.Pack.ID), noFormula(p.File), label, noFormula(p.Attack), noFormula(p.Subject), noFormula(p.Set)}
			if !o.Judged() {
				line = append(line, o.Refusal, "", number(j.Pack.Threshold))
				lines = append(lines, append(line, make([]string, len(lines[0])-len(line))...))
				continue
			}
			var scores []string
			for _, score := range o.Scores {
				scores = append(scores, fmt.Sprintf("%.6f", score))
			}
			verdict, wrong := "live", ""
			if o.Likelihood > j.Pack.Threshold {
				verdict = "fake"
			}
			switch {
			case verdict == label:
			case p.Fake:
				wrong = "fake passed"
			default:
				wrong = "live refused"
			}
			lines = append(lines, append(line,
				"judged", number(o.Likelihood), number(j.Pack.Threshold), verdict, wrong,
				strconv.FormatBool(o.Valid), strings.Join(o.Issues, " "),
				fmt.Sprintf("%.1f", o.Brightness), fmt.Sprintf("%.0f", o.Side), fmt.Sprintf("%.4f", o.Sharpness),
				strconv.Itoa(o.Faces), strconv.Itoa(o.Rotated), strconv.Itoa(o.Width), strconv.Itoa(o.Height),
				fmt.Sprintf("%.1f", o.Millis.Total), strings.Join(scores, " ")))
		}
	}
	if err := out.WriteAll(lines); err != nil {
		return fmt.Errorf("write the scores: %w", err)
	}
	return nil
}

// noFormula returns a name that somebody else has chosen so that spreadsheets show it and do not compute it.
func noFormula(name string) string {
	if name != "" && strings.ContainsRune("=+-@\t\r\n", rune(name[0])) {
		return "'" + name
	}
	return name
}
