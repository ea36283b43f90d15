package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// AuditCmd replays the log and proves its counts.
type AuditCmd struct {
	LogFlags     `embed:""`
	Subscription string `help:"Only this subscription." placeholder:"UUID"`
	Month        string `help:"Only this month, as 2026-11." placeholder:"MONTH"`
	Changes      bool   `help:"Also print plan changes, over-limit switches and key changes."`
	JSON         bool   `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (c *AuditCmd) Help() string {
	return `Reads the whole log and decides every counted call again on the state it was decided on: ordinals, billing classes,
totals, limits, streams without gaps. Events of other programs that share the log are counted and passed over. It writes
nothing. That read models agree with the log is what "projections compare" says, that AWS does, "metering reconcile".

Exit status: 0 the log proves its counts, 1 the command failed, 3 something contradicts the rules.

Examples:
  liveness audit --month 2026-11
  liveness audit --subscription 95f7abad-42e1-5c0a-bfc7-9549dc46c693 --changes`
}

// auditReport is what --json prints.
type auditReport struct {
	Events   int64           `json:"events"` // ours
	Others   int64           `json:"others"` // of programs that share the log
	Months   []audit.Month   `json:"months"`
	Changes  []audit.Change  `json:"changes"`
	Skips    []audit.Skip    `json:"skips"` // events that operators let read models go past
	Findings []audit.Finding `json:"findings"`
}

// Run replays and prints.
func (c *AuditCmd) Run(ctx context.Context, app *App) error {
	wanted, err := c.filter()
	if err != nil {
		return err
	}
	client, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	replayed, err := replay(ctx, client)
	if err != nil {
		return err
	}
	report := auditReport{
		Events: replayed.Events(), Others: replayed.Others(), Months: []audit.Month{}, Changes: []audit.Change{},
		Skips: append([]audit.Skip{}, replayed.Skips()...), Findings: replayed.Findings(),
	}
	for _, month := range replayed.Months() {
		if wanted(month.SubscriptionID, month.Month) {
			report.Months = append(report.Months, month)
		}
	}
	for _, change := range replayed.Changes() {
		if wanted(change.SubscriptionID, domain.MonthOf(change.At)) {
			report.Changes = append(report.Changes, change)
		}
	}
	if err := c.print(app, report); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return &ExitError{Code: exitFindings, Err: fmt.Errorf("the log contradicts the rules in %d places", len(report.Findings))}
	}
	return nil
}

// replay audits the whole log.
func replay(ctx context.Context, client *eventstoredb.Client) (*audit.Audit, error) {
	replayed, reader := audit.New(), eventstoredb.NewReader(client, domain.NewRegistry())
	return replayed, client.Follow(ctx, 0, false, func(raw *esdb.RecordedEvent) error {
		if !reader.Owns(raw) {
			replayed.PassOver(reader.Locate(raw), raw.EventType)
			return nil
		}
		recorded, err := reader.Decode(raw)
		if err != nil {
			replayed.Unreadable(recorded, err)
			return nil
		}
		replayed.Observe(recorded)
		return nil
	})
}

func (c *AuditCmd) filter() (func(uuid.UUID, domain.Month) bool, error) {
	var subscription uuid.UUID
	var month domain.Month
	var err error
	if c.Subscription != "" {
		if subscription, err = uuid.Parse(c.Subscription); err != nil {
			return nil, fmt.Errorf("--subscription %q is not a subscription's id; `liveness audit` without it lists them", c.Subscription)
		}
	}
	if c.Month != "" {
		if month, err = domain.ParseMonth(c.Month); err != nil {
			return nil, errors.New("--month is written as 2026-11")
		}
	}
	return func(s uuid.UUID, m domain.Month) bool {
		return (c.Subscription == "" || s == subscription) && (c.Month == "" || m == month)
	}, nil
}

func (c *AuditCmd) print(app *App, report auditReport) error {
	if c.JSON {
		return app.PrintJSON(report)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBSCRIPTION\tMONTH\tCOUNTED\tINCLUDED\tOVERAGE\tACCEPTED BY AWS\tPENDING\tWRITTEN OFF\tCARRIED\tCREDITED\tREFUND AT AWS")
	for _, m := range report.Months {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", m.SubscriptionID, m.Month, m.Counted, m.Included, m.Overage, m.Accepted, m.Pending, m.WrittenOff, m.Carried,
			m.Credited, m.Refund)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if c.Changes {
		fmt.Fprintln(app.Out)
		for _, change := range report.Changes {
			fmt.Fprintf(app.Out, "%s  %s  %s  by %s\n", change.At.UTC().Format(time.RFC3339), change.SubscriptionID, change.What, change.Actor)
		}
	}
	for _, s := range report.Skips {
		fmt.Fprintf(app.Out, "\n%s  read model %s skips %s, revision %d of %s, by %s: %s\n",
			s.SkippedAt.UTC().Format(time.RFC3339), s.ReadModel, s.Type, s.Revision, s.Stream, s.Actor, s.Why)
	}
	for _, f := range report.Findings {
		fmt.Fprintf(app.Out, "\n%s", f)
	}
	_, err := fmt.Fprintf(app.Out, "\n%d events of ours read, %d of others passed over, %d findings\n", report.Events, report.Others, len(report.Findings))
	return err
}
