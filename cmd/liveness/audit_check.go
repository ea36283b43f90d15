package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/pas-ta/liveness/domain/proof"
)

// AuditCheckCmd checks the proof of a month, without the log.
type AuditCheckCmd struct {
	File    string   `arg:"" help:"The proof." type:"existingfile"`
	Key     []string `help:"A key of the log, as its operator publishes it. Without one the file is checked with the keys that it names itself." placeholder:"KEY"`
	Against string   `help:"A checkpoint, or another proof of the same log: neither may know another history." type:"existingfile" placeholder:"FILE"`
	JSON    bool     `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (*AuditCheckCmd) Help() string {
	return `Shows from the file alone that every event in it stands in the log that the checkpoint was signed of, that none is missing, that the
log has only grown since the month before, and that the counts and reports follow from the events: every call is decided again. It asks
no server.

Exit status: 0 the proof holds, 1 the command failed, 3 it does not hold.

Examples:
  liveness audit check november.ndjson --key log.example.com+1a2b3c4d+AZ…
  liveness audit check november.ndjson --against october.ndjson`
}

// Run checks and prints.
func (c *AuditCheckCmd) Run(app *App) error {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read the proof: %w", err)
	}
	options := proof.Options{Keys: c.Key}
	if c.Against != "" {
		if options.Against, err = os.ReadFile(c.Against); err != nil {
			return fmt.Errorf("read what the proof is compared with: %w", err)
		}
	}
	report, err := proof.Check(content, options)
	if err != nil {
		return err
	}
	if c.JSON {
		err = app.PrintJSON(report)
	} else {
		err = printProof(app, report)
	}
	if err == nil && len(report.Findings) > 0 {
		err = &ExitError{Code: exitFindings, Err: fmt.Errorf("the proof does not hold in %d places", len(report.Findings))}
	}
	return err
}

func printProof(app *App, report proof.Report) error {
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	m := report.Month
	fmt.Fprintf(table, "customer\t%s\nsubscription\t%s\nmonth\t%s, made on %s\n", report.CustomerID, report.SubscriptionID, report.Of, report.MadeAt.UTC().Format(time.RFC3339))
	fmt.Fprintf(table, "log\t%s, %d leaves, root %s\n", report.Origin, report.Size, report.Root)
	for _, key := range report.Keys {
		fmt.Fprintf(table, "signed by\t%s%s\n", key, trust(report))
	}
	fmt.Fprintf(table, "events\t%d\ncalls\t%d: %d within the plan, %d beyond it\n", report.Events, m.Counted, m.Included, m.Overage)
	fmt.Fprintf(table, "beyond the plan\t%d accepted by AWS, %d pending, %d written off, %d carried on, %d credited\n",
		m.Accepted, m.Pending, m.WrittenOff, m.Carried, m.Credited)
	if err := table.Flush(); err != nil {
		return err
	}
	for _, change := range m.Changes {
		fmt.Fprintln(app.Out, oneLine("%s  %s  by %s", change.At.UTC().Format(time.RFC3339), change.What, change.By))
	}
	for _, finding := range report.Findings {
		fmt.Fprintf(app.Out, "\n%s", finding)
	}
	_, err := fmt.Fprintf(app.Out, "\n%d findings\n", len(report.Findings))
	return err
}

// trust says what a signature is worth whose key only the file names.
func trust(report proof.Report) string {
	if report.KeysGiven {
		return ""
	}
	return " (the file's own key: compare it with what the operator publishes, or give that with --key)"
}
