package metering_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

// hour is the one that is metered; the clock stands a minute after its end.
var hour = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// fixture is a log in memory, a read model that is always up to date with it, and an AWS that answers as a test wants.
type fixture struct {
	t       *testing.T
	clock   *commandstest.Clock
	log     *memorystore.Store
	barrier *commandstest.Barrier
	alerts  *commandstest.Lines
	config  metering.Config

	mu     sync.Mutex
	ended  []metering.EndedSubscription
	usage  []domain.SealedUsage // of hours that are over
	idle   []domain.SealedUsage
	asked  map[string]int           // how often, of the read model
	behind bool                     // the read model does not know of records yet
	calls  [][]metering.UsageReport // of AWS
	answer func(reports []metering.UsageReport) []domain.MeteringOutcome
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, clock: commandstest.NewClock(hour.Add(time.Hour + time.Minute)), barrier: &commandstest.Barrier{},
		alerts: &commandstest.Lines{}, asked: map[string]int{},
	}
	f.log = memorystore.New(f.clock.Now)
	f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
		return all(reports, domain.MeteringSuccess)
	}
	f.config = metering.Config{
		Executor: commands.Executor{Store: f.log, Now: f.clock.Now}, Barrier: f.barrier, Catalogue: domain.DefaultCatalogue(),
		Log: slog.New(slog.NewTextHandler(f.alerts, &slog.HandlerOptions{Level: slog.LevelError})), Model: f, Meter: f, Region: "us-east-1",
	}
	return f
}

// all gives every report of a call one outcome.
func all(reports []metering.UsageReport, outcome domain.MeteringOutcome) []domain.MeteringOutcome {
	outcomes := make([]domain.MeteringOutcome, len(reports))
	for i := range outcomes {
		outcomes[i] = outcome
	}
	return outcomes
}

func (f *fixture) manager() *metering.ProcessManager {
	f.t.Helper()
	manager, err := metering.NewProcessManager(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	return manager
}

// record appends to a stream.
func (f *fixture) record(stream string, events ...domain.Event) {
	f.t.Helper()
	ctx, expected := context.Background(), commands.NoStream
	if last, found, err := f.log.ReadLast(ctx, stream); err != nil {
		f.t.Fatal(err)
	} else if found {
		expected = int64(last.Revision)
	}
	var proposed []commands.Proposed
	for _, event := range events {
		proposed = append(proposed, commands.Proposed{ID: uuid.New(), Event: event})
	}
	if _, err := f.log.Append(ctx, stream, expected, proposed); err != nil {
		f.t.Fatal(err)
	}
}

// subscription starts one that has used so many calls beyond its plan in the hour.
func (f *fixture) subscription(overage int64) uuid.UUID {
	f.t.Helper()
	id := uuid.New()
	f.record(domain.SubscriptionStream(id), domain.SubscriptionStarted{
		SubscriptionID: id, CustomerID: uuid.New(), Plan: domain.PlanStarter, Limit: 1000, StartedAt: hour.Add(-24 * time.Hour),
		Marketplace: domain.MarketplaceIdentity{
			AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:::l-" + id.String(), CustomerIdentifier: "C-" + id.String(), ProductCode: "code",
		},
	})
	if overage > 0 {
		f.usage = append(f.usage, domain.SealedUsage{SubscriptionID: id, Hour: hour, Plan: domain.PlanStarter, Counted: overage})
	}
	return id
}

// end ends a subscription now.
func (f *fixture) end(id uuid.UUID) {
	f.t.Helper()
	f.record(domain.SubscriptionStream(id), domain.SubscriptionEnded{SubscriptionID: id, EndedAt: f.clock.Now()})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, metering.EndedSubscription{ID: id, RecordedAt: f.clock.Now()})
}

func key(subscription uuid.UUID) domain.UsageRecordKey {
	return domain.NewUsageRecordKey(subscription, hour, domain.PlanStarter, "starter_over")
}

// usageRecord is the record of a subscription's hour as it stands in the log.
func (f *fixture) usageRecord(subscription uuid.UUID) domain.UsageRecord {
	f.t.Helper()
	r, err := commands.Read[domain.UsageRecord](context.Background(), f.log, key(subscription).Stream())
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// wants fails unless the hour's record of a subscription went through exactly these events.
func (f *fixture) wants(subscription uuid.UUID, want ...string) {
	f.t.Helper()
	if got := commandstest.Types(f.t, f.log, key(subscription).Stream()); !slices.Equal(got, want) {
		f.t.Errorf("the record went through %v, want %v", got, want)
	}
}

// sizes lists how many records each call of AWS had.
func (f *fixture) sizes() (sizes []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		sizes = append(sizes, len(call))
	}
	return sizes
}

// MeterUsage implements metering.UsageMeter.
func (f *fixture) MeterUsage(_ context.Context, reports []metering.UsageReport) ([]metering.UsageAnswer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, reports)
	answers := make([]metering.UsageAnswer, len(reports))
	var broken error
	for i, outcome := range f.answer(reports) {
		answers[i] = metering.UsageAnswer{Outcome: outcome}
		switch outcome {
		case domain.MeteringSuccess:
			answers[i].RecordID = fmt.Sprintf("aws-%d-%d", len(f.calls), i)
		case domain.MeteringDuplicate, domain.MeteringNotSubscribed, domain.MeteringUnprocessed:
		default:
			broken = fmt.Errorf("the call as a whole: %s", outcome)
		}
	}
	return answers, broken
}

// Ended implements metering.ReadModel.
func (f *fixture) Ended(ctx context.Context) (open []metering.EndedSubscription, err error) {
	f.mu.Lock()
	ended := slices.Clone(f.ended)
	f.mu.Unlock()
	for _, e := range ended {
		end, err := commands.Read[domain.UsageEnd](ctx, f.log, domain.UsageEndStream(e.ID))
		if err != nil {
			return nil, err
		}
		if end.Ends == 0 {
			open = append(open, e)
		}
	}
	return open, nil
}

// Sealed implements metering.ReadModel. Every hour that is listed here counts as sealed.
func (f *fixture) Sealed(_ context.Context, after domain.SealedUsage, limit int) ([]domain.SealedUsage, error) {
	f.asked["sealed"]++
	var sealed []domain.SealedUsage
	for _, u := range f.usage {
		if (f.behind || f.usageRecord(u.SubscriptionID).Status == domain.RecordUnknown) && inOrder(after, u) < 0 {
			sealed = append(sealed, u)
		}
	}
	slices.SortFunc(sealed, inOrder)
	return sealed[:min(limit, len(sealed))], nil
}

func inOrder(a, b domain.SealedUsage) int {
	return cmp.Or(a.Hour.Compare(b.Hour), bytes.Compare(a.SubscriptionID[:], b.SubscriptionID[:]), cmp.Compare(a.Plan, b.Plan))
}

// Idle implements metering.ReadModel.
func (f *fixture) Idle(_ context.Context, of time.Time) ([]domain.SealedUsage, error) {
	f.asked["idle"]++
	if !of.Equal(hour) {
		return nil, fmt.Errorf("asked for %s", of)
	}
	return f.idle, nil
}

// open lists the records that are not closed.
func (f *fixture) open() (open []domain.UsageRecord) {
	for _, u := range append(slices.Clone(f.usage), f.idle...) {
		if r := f.usageRecord(u.SubscriptionID); r.Status == domain.RecordOpen {
			open = append(open, r)
		}
	}
	return open
}

// Due implements metering.ReadModel.
func (f *fixture) Due(_ context.Context, _ string, now time.Time, probe bool, limit int) (due []domain.UsageRecordKey, err error) {
	records := f.open()
	if probe {
		slices.SortStableFunc(records, func(a, b domain.UsageRecord) int { return b.Unanswered - a.Unanswered })
	}
	for _, r := range records {
		if len(due) < limit && (!r.RetryAt.After(now) || probe && r.Unanswered > 0) {
			due = append(due, r.UsageRecordKey)
		}
	}
	return due, nil
}

// Late implements metering.ReadModel.
func (f *fixture) Late(_ context.Context, deadline time.Time, limit int) (late []domain.UsageRecordKey, err error) {
	for _, r := range f.open() {
		if len(late) < limit && !r.Deadline.After(deadline) {
			late = append(late, r.UsageRecordKey)
		}
	}
	return late, nil
}

// NextDue implements metering.ReadModel.
func (f *fixture) NextDue(context.Context, string) (next time.Time, err error) {
	for _, r := range f.open() {
		at := r.RetryAt
		if at.IsZero() {
			at = r.PreparedAt
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, nil
}

// step runs one step.
func (f *fixture) step(m *metering.ProcessManager) (next time.Time) {
	f.t.Helper()
	next, err := m.Step(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return next
}
