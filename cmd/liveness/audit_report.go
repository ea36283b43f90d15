package main

import (
	_ "embed" // the page is one file
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
)

// printVerification writes a report for people.
func printVerification(out io.Writer, r auditing.Report, changes, hours bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBSCRIPTION\tSTATUS\tPLAN\tLIMIT\tOVER LIMIT\tKEYS")
	for _, s := range r.Subscriptions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", s.SubscriptionID, s.Status, s.Plan, s.Limit, s.Behaviour(), keysInWords(s.Keys))
	}
	fmt.Fprintln(table, "\nSUBSCRIPTION\tMONTH\tCOUNTED\tINCLUDED\tOVERAGE\tACCEPTED BY AWS\tPENDING\tWRITTEN OFF\tCARRIED\tCREDITED\tREFUND AT AWS")
	for _, m := range r.Months {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", m.SubscriptionID, m.Month, m.Counted, m.Included, m.Overage, m.Accepted,
			m.Pending, m.WrittenOff, m.Carried, m.Credited, m.Refund)
	}
	if hours {
		fmt.Fprintln(table, "\nSUBSCRIPTION\tHOUR (UTC)\tPLAN\tCOUNTED\tCARRIED IN\tCREDITED\tRECORD\tQUANTITY\tATTEMPTS\tAWS'S RECORD")
		for _, h := range r.Hours {
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%s\n", h.SubscriptionID, h.Hour.UTC().Format("2006-01-02 15:00"), h.Plan, h.Counted,
				h.Carried, h.Credited, h.Status, h.Quantity, h.Attempts, h.MeteringRecordID)
		}
	}
	if len(r.ReadModels) > 0 {
		fmt.Fprintln(table, "\nREAD MODEL\tPOSITION\tTABLE\tSHOWN\tBY THE LOG\tCONTENT")
		for _, m := range r.ReadModels {
			for _, t := range m.Tables {
				fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%s\n", m.Name, m.Position, t.Name, t.Shown, t.ByLog, equalInWords(t.Equal))
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if changes {
		fmt.Fprintln(out)
		for _, change := range r.Changes {
			fmt.Fprintln(out, oneLine("%s  %s  %s  by %s", change.At.UTC().Format(time.RFC3339), change.SubscriptionID, change.What, change.Actor))
		}
	}
	for _, s := range r.Skips {
		fmt.Fprintf(out, "\n%s\n", oneLine("%s  read model %s skips %s, revision %d of %s, by %s: %s",
			s.SkippedAt.UTC().Format(time.RFC3339), s.ReadModel, s.Type, s.Revision, s.Stream, s.Actor, s.Why))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(out, "\n%s", f)
	}
	if r.Unlisted > 0 {
		fmt.Fprintf(out, "\n… and %d more", r.Unlisted)
	}
	if r.OfOthers > 0 {
		fmt.Fprintf(out, "\n%d findings concern other customers: run it without --customer", r.OfOthers)
	}
	t := r.Transparency
	fmt.Fprintf(out, "\n%d leaves, root %s; %d signed checkpoints, which prove the first %d leaves\n", t.Leaves, t.Root, t.Checkpoints, t.Proved)
	_, err := fmt.Fprintf(out, "%d events of ours read, %d of others passed over, %d findings; held against %s\n", r.Events, r.Others,
		int64(len(r.Findings))+r.Unlisted, strings.Join(r.Compared, ", "))
	return err
}

//go:embed audit_report.html
var verificationPage string

// printVerificationPage writes a report as one file that a browser shows without anything else.
func printVerificationPage(out io.Writer, r auditing.Report) error {
	page, err := template.New("audit").Funcs(template.FuncMap{
		"keys": keysInWords, "equal": equalInWords, "known": func(id uuid.UUID) bool { return id != uuid.Nil }, "join": strings.Join,
		"at": func(t time.Time) string {
			if t.IsZero() {
				return "–"
			}
			return t.UTC().Format("2006-01-02 15:04:05")
		},
	}).Parse(verificationPage)
	if err != nil {
		return err
	}
	return page.Execute(out, r)
}

func equalInWords(equal bool) string {
	if equal {
		return "equal"
	}
	return "DIFFERENT"
}
