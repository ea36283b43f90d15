package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// MeteringReconcileCmd settles the accounts of metering.
type MeteringReconcileCmd struct {
	ReadModelFlags `embed:""`
	Simulator      string `help:"Address of dev's AWS simulator, whose records are compared too; \"none\" leaves it out. Without it the usual address is tried when the log is this machine's." placeholder:"URL"`
}

// Help is shown below the options.
func (*MeteringReconcileCmd) Help() string {
	return `Reads the whole log and compares, for every subscription, the running totals of its calls with what became of them by the
events of its usage records: counted = accepted + pending + carried open + written off + credited. Then it compares the result with the read
model, and every single record with what AWS holds, where AWS is the simulator; for the real AWS use CloudTrail (docs/audit.md). A read
model that is behind the log is one difference, which says so.

Exit status: 0 no difference, 1 the command failed, 3 something differs.

Example:
  liveness metering reconcile`
}

// reconciliation is what --json prints.
type reconciliation struct {
	audit.Settlement
	Compared []string `json:"compared"` // what was compared with the log
	Events   int64    `json:"events"`
}

// reconcileAttempts is how often the accounts are settled again when the log grows meanwhile, before a difference counts.
const reconcileAttempts = 5

// Run settles and prints.
func (c *MeteringReconcileCmd) Run(ctx context.Context, app *App) error {
	pool, client, stop, err := c.connectBoth(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	model := projections.NewMetering(pool)
	var result reconciliation
	for range reconcileAttempts {
		var shown []audit.Finding // a read model that is behind shows other accounts, and none of them is wrong
		if result, shown, err = c.settle(ctx, client, model); err != nil {
			return err
		}
		if len(shown) > 0 {
			if err := caughtUp(ctx, pool, client, metering.ReadModelName); errors.Is(err, engine.ErrBehind) {
				result.Findings = append(result.Findings, audit.Finding{Problem: err.Error()})
				break
			} else if err != nil {
				return err
			}
			result.Findings = append(result.Findings, shown...)
		}
		if len(result.Findings) == 0 {
			break
		}
		if err := commands.Sleep(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	var different error
	if len(result.Findings) > 0 {
		different = &ExitError{Code: exitFindings, Err: fmt.Errorf("%d differences", len(result.Findings))}
	}
	if c.JSON {
		return errors.Join(app.PrintJSON(result), different)
	}
	return errors.Join(result.print(app), different)
}

// settle compares the log with what became of it; shown is where the read model shows something else.
func (c *MeteringReconcileCmd) settle(
	ctx context.Context, client *eventstoredb.Client, model *projections.Metering,
) (result reconciliation, shown []audit.Finding, err error) {
	result.Compared = []string{"outcome events"}
	replayed, err := auditing.Rules(ctx, eventstoredb.NewAuditedLog(client))
	if err != nil {
		return result, nil, err
	}
	result.Settlement, result.Events = replayed.Settle(), replayed.Events()
	overages, err := model.Overages(ctx)
	if err != nil {
		return result, nil, err
	}
	shown = compareOverages(result.Accounts, overages)
	result.Compared = append(result.Compared, "read model")
	billed, asked, err := c.billed(ctx)
	if err != nil {
		return result, nil, err
	}
	if asked {
		replayed.CompareWithAWS(&result.Settlement, billed)
		result.Compared = append(result.Compared, "AWS simulator")
	}
	return result, shown, nil
}

// compareOverages returns where the read model shows other accounts than the log.
func compareOverages(accounts []audit.Account, overages []projections.LicenceOverage) (findings []audit.Finding) {
	shown := map[uuid.UUID]projections.ReportedOverage{}
	for _, s := range overages {
		shown[s.SubscriptionID] = s.ReportedOverage
	}
	for _, a := range accounts {
		s := shown[a.SubscriptionID]
		delete(shown, a.SubscriptionID)
		if s.Counted != a.Counted || s.Accepted != a.Accepted || s.Pending != a.Pending || s.CarriedOpen != a.CarriedOpen || s.WrittenOff != a.WrittenOff || s.Credited != a.Credited {
			findings = append(findings, audit.Finding{SubscriptionID: a.SubscriptionID, Problem: fmt.Sprintf("the read model shows %+v, the log holds %+v", s, a)})
		}
	}
	for id := range shown {
		findings = append(findings, audit.Finding{SubscriptionID: id, Problem: "the read model shows a subscription that the log does not hold"})
	}
	return findings
}

// devAWS is where dev's simulator usually is.
const devAWS = "http://127.0.0.1:8081"

// billed asks the simulator what it holds; asked is false when there is none to ask.
func (c *MeteringReconcileCmd) billed(ctx context.Context) (billed []audit.Billed, asked bool, err error) {
	address := c.Simulator
	switch {
	case address == "none", address == "" && (c.EventStore != "" || c.Postgres != ""):
		return nil, false, nil
	case address == "":
		address = devAWS
	}
	records, err := simulatedRecords(ctx, address)
	if err != nil {
		if unreachable := (*url.Error)(nil); c.Simulator == "" && errors.As(err, &unreachable) {
			return nil, false, nil // dev does not run
		}
		return nil, false, fmt.Errorf("ask the AWS simulator at %s: %w", address, err)
	}
	return billedUsage(records), true, nil
}

func simulatedRecords(ctx context.Context, address string) ([]awssim.Record, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/sim/api/records", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	var records []awssim.Record
	if err := json.NewDecoder(response.Body).Decode(&records); err != nil {
		return nil, fmt.Errorf("its answer is no list of records: %w", err)
	}
	return records, nil
}

// billedUsage is what the simulator holds, in the terms of the log.
func billedUsage(records []awssim.Record) []audit.Billed {
	billed := make([]audit.Billed, len(records))
	for i, r := range records {
		buyer := domain.LicenceID(r.LicenseARN)
		if len(buyer) < 2 || buyer[:2] != "l-" {
			buyer = r.Customer
		}
		billed[i] = audit.Billed{Buyer: buyer, Dimension: r.Dimension, Hour: r.Hour, Quantity: r.Quantity, RecordID: r.ID}
	}
	return billed
}

func (r reconciliation) print(app *App) error {
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBSCRIPTION\tLICENCE\tCOUNTED\tACCEPTED\tPENDING\tCARRIED OPEN\tWRITTEN OFF\tCREDITED\tDIFFERENCE")
	var total audit.Account
	for _, a := range r.Accounts {
		if a.Counted == 0 && a.Accepted == 0 && a.Pending == 0 && a.WrittenOff == 0 {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", a.SubscriptionID, a.Licence, a.Counted, a.Accepted, a.Pending, a.CarriedOpen, a.WrittenOff,
			a.Credited, a.Difference())
		total.Counted, total.Accepted, total.Pending = total.Counted+a.Counted, total.Accepted+a.Accepted, total.Pending+a.Pending
		total.CarriedOpen, total.WrittenOff = total.CarriedOpen+a.CarriedOpen, total.WrittenOff+a.WrittenOff
		total.Credited, total.Refund = total.Credited+a.Credited, total.Refund+a.Refund
	}
	fmt.Fprintf(table, "all %d\t\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", len(r.Accounts), total.Counted, total.Accepted, total.Pending, total.CarriedOpen, total.WrittenOff,
		total.Credited, total.Difference())
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(app.Out, "\n%d records: %d sent, %d repetitions, %d accepted, %d carried, %d rejected, %d quarantined, %d open (%d of them held by AWS already)\n",
		r.Records, r.Sent, r.Repeated, r.Accepted, r.Carried, r.Rejected, r.Quarantined, r.Open, r.InFlight)
	if total.Refund > 0 {
		fmt.Fprintf(app.Out, "%d calls were credited that AWS had been told of: `liveness usage credits` names what to refund there\n", total.Refund)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(app.Out, "DIFFERENCE  %s\n", f)
	}
	_, err := fmt.Fprintf(app.Out, "%d events compared with %v: %d differences\n", r.Events, r.Compared, len(r.Findings))
	return err
}

// resolveUsageRecord runs the command over the log alone.
func resolveUsageRecord(ctx context.Context, app *App, client *eventstoredb.Client, subscription uuid.UUID, hour time.Time, c MeteringResolveCmd) (domain.UsageRecord, error) {
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	return metering.ResolveUsageRecord(ctx, commands.Executor{Store: store, Now: time.Now}, metering.ResolveRecord{
		By:  commands.NewOrigin(domain.ActorOperator),
		Key: domain.NewUsageRecordKey(subscription, hour, "", c.Dimension), Resolution: domain.Resolution(c.As), MeteringRecordID: c.RecordID, Reason: c.Reason,
	})
}
