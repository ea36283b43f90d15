package evaluate

import (
	"bytes"
	"encoding/csv"
	"slices"
	"testing"
)

// What a foreign manifest names is no formula to the spreadsheet that opens the scores.
func TestScoresHoldNoFormulas(t *testing.T) {
	t.Parallel()
	const link = `=HYPERLINK("https://example.com","x")`
	c := Collection{Pictures: []Picture{
		{File: link, Fake: true, Attack: "+1+cmd", Subject: "@SUM(1)", Set: "-2"}, {File: "\t=1", Subject: "\r=1", Set: "a=b"},
	}}
	judged := []Judged{{Pack: Pack{ID: "=pack"}, Outcomes: []Outcome{{Refusal: "no_face"}, {Likelihood: -0.5, Issues: []string{"=issue"}}}}}
	var out bytes.Buffer
	if err := WriteScores(&out, c, judged); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{
		{"'=pack", "'" + link, "fake", "'+1+cmd", "'@SUM(1)", "'-2", "no_face"}, {"'=pack", "'\t=1", "live", "", "'\r=1", "a=b", "judged", "-0.5"},
	} {
		if got := rows[i+1][:len(want)]; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
