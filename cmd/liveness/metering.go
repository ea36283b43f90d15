package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// MeteringCmd looks after the usage that is reported to AWS.
type MeteringCmd struct {
	Status    MeteringStatusCmd    `cmd:"" help:"Print what was counted beyond the plans and what became of it, by customer and hour."`
	Reconcile MeteringReconcileCmd `cmd:"" help:"Settle the accounts: the log against the outcomes, the read model and, in dev, AWS."`
	Resolve   MeteringResolveCmd   `cmd:"" help:"Decide on a quarantined usage record."`
}

// MeteringStatusCmd prints metered hours.
type MeteringStatusCmd struct {
	ReadModelFlags `embed:""`
	Subscription   string `help:"Only this subscription." placeholder:"UUID"`
	Hours          int    `help:"How many hours back; what is not settled is printed however old it is." default:"48"`
	Limit          int    `help:"Most lines." default:"1000"`
}

// Help is shown below the options.
func (*MeteringStatusCmd) Help() string {
	return `Per customer, hour and dimension: calls counted beyond the plan, carried in from hours that could not be reported, credited,
sent to AWS, accepted by AWS, pending. States: counting (the hour has no record yet), open (being sent), accepted, carried (a
later hour reports it), rejected (written off), quarantined (waits for "metering resolve").

Examples:
  liveness metering status
  liveness metering status --hours 24 --json | jq '.windows[] | select(.state == "quarantined")'`
}

// meteringStatus is what --json prints.
type meteringStatus struct {
	SealedHour  time.Time                   `json:"sealedHour,omitzero"`
	OldestOpen  time.Time                   `json:"oldestOpen,omitzero"`
	Open        int64                       `json:"open"`
	Quarantined int64                       `json:"quarantined"`
	Rejected    int64                       `json:"rejected"`
	Total       projections.ReportedOverage `json:"total"`
	Windows     []projections.MeteredWindow `json:"windows"`
}

// Run prints the table.
func (c *MeteringStatusCmd) Run(ctx context.Context, app *App) error {
	subscription, err := parseSubscription(c.Subscription)
	if err != nil {
		return err
	}
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	model := projections.NewMetering(pool)
	health, err := model.Health(ctx)
	if err != nil {
		return err
	}
	status := meteringStatus{
		SealedHour: health.SealedHour, OldestOpen: health.OldestOpen, Open: health.Open, Quarantined: health.Quarantined, Rejected: health.Rejected,
	}
	overages, err := model.Overages(ctx)
	if err != nil {
		return err
	}
	licences := map[uuid.UUID]string{}
	for _, s := range overages {
		licences[s.SubscriptionID] = domain.LicenceID(s.LicenseARN)
		if subscription == uuid.Nil || subscription == s.SubscriptionID {
			status.Total.Add(s.ReportedOverage)
		}
	}
	from := domain.UsageHour(time.Now()).Add(-time.Duration(c.Hours) * time.Hour)
	if status.Windows, err = model.Windows(ctx, subscription, from, c.Limit); err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(status)
	}
	return c.print(app, status, licences)
}

func (*MeteringStatusCmd) print(app *App, status meteringStatus, licences map[uuid.UUID]string) error {
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBSCRIPTION\tLICENCE\tHOUR (UTC)\tDIMENSION\tCOUNTED\tCARRIED IN\tCREDITED\tSENT\tACCEPTED\tPENDING\tATTEMPTS\tSTATE\tREASON")
	for _, w := range status.Windows {
		sent, accepted, pending := int64(0), int64(0), int64(0)
		if w.Attempts > 0 {
			sent = w.Quantity
		}
		switch w.State {
		case domain.RecordAccepted:
			accepted = w.Quantity
		case domain.RecordOpen, domain.RecordQuarantined:
			pending = w.Quantity
		case domain.RecordRejected, domain.RecordCarried:
		default:
			pending = w.Counted + w.Carried - w.Credited
		}
		dimension := w.Dimension
		if dimension == "" {
			dimension = string(w.Plan)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", w.SubscriptionID, licences[w.SubscriptionID], w.Hour.Format("2006-01-02 15:00"),
			dimension, w.Counted, w.Carried, w.Credited, sent, accepted, pending, w.Attempts, w.State, w.Reason)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	sealed := "no hour is sealed yet"
	if !status.SealedHour.IsZero() {
		sealed = "sealed up to " + status.SealedHour.Add(time.Hour).Format("2006-01-02 15:00")
	}
	t := status.Total
	_, err := fmt.Fprintf(app.Out, "\nAll time: %d counted = %d accepted + %d pending + %d carried open + %d written off + %d credited; %s; %d open, %d quarantined, %d rejected records with usage\n",
		t.Counted, t.Accepted, t.Pending, t.CarriedOpen, t.WrittenOff, t.Credited, sealed, status.Open, status.Quarantined, status.Rejected)
	return err
}

// connect opens the database of the read models.
func (f ReadModelFlags) connect(ctx context.Context, app *App) (*pgxpool.Pool, error) {
	address, err := f.database()
	if err != nil {
		return nil, err
	}
	return postgres.Connect(ctx, address)
}

// connectBoth opens the database of the read models and the log that they are made of.
func (f ReadModelFlags) connectBoth(ctx context.Context, app *App) (pool *pgxpool.Pool, client *eventstoredb.Client, stop func(), err error) {
	if pool, err = f.connect(ctx, app); err != nil {
		return nil, nil, nil, err
	}
	client, disconnect, err := f.LogFlags.open(ctx, app)
	if err != nil {
		pool.Close()
		return nil, nil, nil, err
	}
	return pool, client, func() { disconnect(); pool.Close() }, nil
}

func parseSubscription(text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fmt.Errorf("--subscription %q is no id of a subscription: write it as 95f7abad-42e1-5c0a-bfc7-9549dc46c693", text)
	}
	return id, nil
}

// MeteringResolveCmd decides on a quarantined record.
type MeteringResolveCmd struct {
	LogFlags     `embed:""`
	Postgres     string `help:"Address of Postgres, with which the log is compared before anything is written to it. Without it the one that dev runs on the data directory, if it runs." env:"LIVENESS_POSTGRES_URL" placeholder:"URL"`
	Subscription string `arg:"" help:"Id of the subscription." placeholder:"UUID"`
	Hour         string `arg:"" help:"The hour as yyyymmddhh, UTC."`
	Dimension    string `arg:"" help:"The dimension."`
	As           string `help:"billed: AWS holds the record; carry: it does not, a later hour reports the quantity; writeoff: nobody does." enum:"billed,carry,writeoff" required:""`
	RecordID     string `help:"AWS's metering record id, with --as billed." placeholder:"ID"`
	Reason       string `help:"What shows it, for instance the CloudTrail event; kept in the log." required:""`
}

// Help is shown below the options.
func (*MeteringResolveCmd) Help() string {
	return `A record is quarantined when AWS refuses it for good, or when it can no longer be repeated and an attempt whose answer was
lost may have been billed. CloudTrail's event history (source metering-marketplace.amazonaws.com, in the record's Region) tells.

Examples:
  liveness metering resolve 95f7abad-42e1-5c0a-bfc7-9549dc46c693 2026112212 starter_over --as billed --record-id 1b9… --reason "CloudTrail 7f3…"
  liveness metering resolve 95f7abad-42e1-5c0a-bfc7-9549dc46c693 2026112212 starter_over --as carry --reason "not in CloudTrail until 2026-11-24"`
}

// Run writes the decision down.
func (c *MeteringResolveCmd) Run(ctx context.Context, app *App) error {
	subscription, err := parseSubscription(c.Subscription)
	if err != nil {
		return err
	}
	hour, err := domain.ParseUsageHourKey(c.Hour)
	if err != nil {
		return err
	}
	client, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := (ReadModelFlags{LogFlags: c.LogFlags, Postgres: c.Postgres}).belongsToLog(ctx, app, client); err != nil {
		return err
	}
	record, err := resolveUsageRecord(ctx, app, client, subscription, hour, *c)
	if errors.Is(err, domain.ErrNotQuarantined) {
		return errors.New("only a quarantined usage record can be resolved; `liveness metering status` lists them")
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.Out, "%s is %s\n", record.Stream(), record.Status)
	return err
}
