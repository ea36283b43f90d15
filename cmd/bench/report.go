package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// report is all that one run has measured.
type report struct {
	Machine machine   `json:"machine"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Quick   bool      `json:"quick"`
	Rows    []row     `json:"rows"`
}

// print writes the table.
func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", r.Machine)
	if r.Quick {
		fmt.Fprintln(w, "A quick run: it shows that everything works, not how fast it is.")
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SECTION\tNAME\tMEASURED\tBESIDE\tRATIO\tTARGET\t")
	section := ""
	for _, row := range r.Rows {
		shown := ""
		if row.Section != section {
			section, shown = row.Section, row.Section
		}
		held, ratio := "", ""
		if row.Reference != nil {
			held, ratio = quantity(row.Reference.Value, row.Unit)+" "+row.Reference.What, fmt.Sprintf("%.2f", row.ratio())
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", shown, row.Name, quantity(row.Measured, row.Unit), held, ratio, row.bound(), row.verdict())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%.0f s in all.\n", r.Seconds)
	return err
}

func (r report) writeJSON(file string) error {
	type judged struct {
		row
		Ratio   float64 `json:"ratio,omitempty"`
		Verdict string  `json:"verdict,omitempty"` // ok or LOW
	}
	rows := make([]judged, len(r.Rows))
	for i, row := range r.Rows {
		rows[i] = judged{row, row.ratio(), row.verdict()}
	}
	content, err := json.MarshalIndent(struct {
		report
		Rows []judged `json:"rows"`
	}{r, rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

// quantity is a number with as many digits as mean something, and its unit.
func quantity(v float64, unit string) string {
	digits := 0
	switch {
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	return message.NewPrinter(language.English).Sprintf("%.*f %s", digits, v, unit)
}
