package projections_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// meteredLife is the log of two subscriptions whose plans include no call, over the end of a month, with everything at random
// that decides what their hours report. What is sealed is prepared as the read model says.
type meteredLife struct {
	testing.TB
	*rand.Rand
	pool      *pgxpool.Pool
	model     *projections.Metering
	at        time.Time
	sealed    time.Time
	events    []domain.Recorded
	revisions map[string]uint64
	customers [2]meteredCustomer
	replayed  *audit.Audit
}

type meteredCustomer struct {
	state   domain.Subscription
	usage   map[domain.Month]domain.UsageMonth
	credits map[domain.Month]domain.UsageCredits
	end     domain.UsageEnd
}

func newMeteredLife(tb testing.TB, seed uint64) *meteredLife {
	tb.Helper()
	l := &meteredLife{
		TB: tb, Rand: rand.New(rand.NewPCG(seed, 0)), pool: pgtest.Pool(tb),
		at: time.Date(2026, 11, 30, 20, 10, 0, 0, time.UTC), revisions: map[string]uint64{}, replayed: audit.New(),
	}
	l.model = projections.NewMetering(l.pool)
	if err := engine.Prepare(tb.Context(), l.pool, projections.MeteringProjection()); err != nil {
		tb.Fatal(err)
	}
	for n := range l.customers {
		licence := domain.MarketplaceIdentity{LicenseARN: fmt.Sprintf("arn:aws:license-manager::1:license:l-%d-%d", seed, n)}
		l.customers[n] = meteredCustomer{usage: map[domain.Month]domain.UsageMonth{}, credits: map[domain.Month]domain.UsageCredits{}}
		l.change(&l.customers[n], domain.Subscription{}.Start(licence, domain.Entitlement{Plan: domain.PlanStarter}, l.at)[0])
	}
	return l
}

func (l *meteredLife) write(stream string, event domain.Event) {
	l.Helper()
	r := domain.Recorded{Stream: stream, Revision: l.revisions[stream], Position: uint64(len(l.events)+1) * 10, RecordedAt: l.at, Event: event}
	l.revisions[stream]++
	l.events = append(l.events, r)
	l.replayed.Observe(r)
	applyAll(l, l.pool, projections.MeteringProjection(), l.events[len(l.events)-1:])
}

func (l *meteredLife) change(c *meteredCustomer, event domain.Event) {
	c.state = c.state.Fold(event)
	l.write(domain.SubscriptionStream(c.state.ID), event)
}

func (l *meteredLife) step() {
	l.Helper()
	c := &l.customers[l.IntN(2)]
	month := domain.MonthOf(l.at)
	switch n := l.IntN(20); {
	case n < 6:
		l.call(c, month, 1+l.IntN(5))
	case n < 9:
		l.at = l.at.Add(time.Duration(1+l.IntN(40)) * time.Minute)
	case n < 11 && c.state.Status != domain.StatusEnded:
		plan := []domain.PlanID{domain.PlanStarter, domain.PlanBusiness, domain.PlanStandard}[l.IntN(3)]
		l.change(c, domain.PlanChanged{SubscriptionID: c.state.ID, FromPlan: c.state.Plan, Plan: plan, ChangedAt: l.at})
	case n < 14:
		if l.IntN(3) == 0 {
			month = month.Previous()
		}
		l.credit(c, month)
	case n < 17:
		next := l.sealed.Add(time.Duration(1+l.IntN(2)) * time.Hour)
		if l.sealed.IsZero() {
			next = domain.UsageHour(l.at)
		}
		if l.at.Before(next.Add(time.Hour)) {
			l.at = next.Add(time.Hour + time.Duration(l.IntN(600))*time.Second)
		}
		l.sealed = next
		l.write(domain.SealedHoursStream(domain.MonthOf(next)), domain.HourSealed{Hour: next, SealedAt: l.at})
	case n < 19:
		l.prepare()
	case c.state.Status == domain.StatusEnded:
		l.change(c, domain.SubscriptionReinstated{SubscriptionID: c.state.ID, ReinstatedAt: l.at})
	default:
		l.change(c, domain.SubscriptionEnded{SubscriptionID: c.state.ID, EndedAt: l.at})
		for _, sealed := range c.end.Seal(c.state, l.at) {
			c.end = c.end.Fold(sealed)
			l.write(domain.UsageEndStream(c.state.ID), sealed)
		}
		l.call(c, month, 1+l.IntN(5))
	}
}

// call counts calls, just after the end too: by a node that has not heard of it, on the state before.
func (l *meteredLife) call(c *meteredCustomer, month domain.Month, calls int) {
	l.Helper()
	state, revision := c.state, l.revisions[domain.SubscriptionStream(c.state.ID)]-1
	if state.Status == domain.StatusEnded {
		if l.at.After(state.EndedAt) {
			return
		}
		state.Status, revision = domain.StatusActive, revision-1
	}
	for range calls {
		usage := c.usage[month]
		usage.Month = month
		event, err := usage.Count(state, revision, domain.Check{ID: uuid.New(), At: l.at})
		if err != nil {
			l.Fatal(err)
		}
		c.usage[month] = usage.Fold(event)
		l.write(domain.UsageStream(c.state.ID, month), event)
	}
}

func (l *meteredLife) credit(c *meteredCustomer, month domain.Month) {
	l.Helper()
	left := c.usage[month].Overage - c.credits[month].Total
	if left < 1 {
		return
	}
	events, err := c.credits[month].Credit(c.state, c.usage[month], 1+l.Int64N(left), "ticket 42", l.at)
	if err != nil {
		l.Fatal(err)
	}
	c.credits[month] = c.credits[month].Fold(events[0])
	l.write(domain.UsageCreditsStream(c.state.ID, month), events[0])
}

// prepare prepares what the read model says is sealed, and lets something become of each record.
func (l *meteredLife) prepare() {
	l.Helper()
	sealed, err := l.model.Sealed(l.Context(), domain.SealedUsage{}, 100)
	if err != nil {
		l.Fatal(err)
	}
	for _, usage := range sealed {
		var s domain.Subscription
		for _, c := range l.customers {
			if c.state.ID == usage.SubscriptionID {
				s = c.state
			}
		}
		events, err := domain.UsageRecord{}.Prepare(s, usage, domain.MeteringTarget{Region: "us-east-1", Dimension: string(usage.Plan) + "_over"}, l.at)
		if err != nil {
			l.Fatal(err)
		}
		key, quantity := events[0].(domain.UsageRecordPrepared).UsageRecordKey, usage.Quantity()
		switch l.IntN(5) {
		case 0:
			events = append(events[:1], domain.UsageCarriedOver{UsageRecordKey: key, Quantity: quantity, CarriedAt: l.at})
		case 1:
			events = append(events[:1], domain.UsageRecordRejected{UsageRecordKey: key, Quantity: quantity, RejectedAt: l.at})
		case 2:
			events = append(events[:1], domain.UsageRecordQuarantined{UsageRecordKey: key, Quantity: quantity, QuarantinedAt: l.at})
		case 3:
			events = append(events[:1], domain.UsageRecordAccepted{UsageRecordKey: key, Outcome: domain.MeteringSuccess, Quantity: quantity, AcceptedAt: l.at})
		}
		for _, event := range events {
			l.write(key.Stream(), event)
		}
	}
}

// compare holds the read model against the audit, which replays the log by itself.
func (l *meteredLife) compare() {
	l.Helper()
	settled := l.replayed.Settle()
	if len(settled.Findings) > 0 {
		l.Fatalf("the log is not right: %v", settled.Findings)
	}
	overages, err := l.model.Overages(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	shown := map[uuid.UUID]projections.ReportedOverage{}
	for _, s := range overages {
		s.Quarantined = 0
		shown[s.SubscriptionID] = s.ReportedOverage
	}
	proved, refunds := map[uuid.UUID]projections.ReportedOverage{}, map[uuid.UUID]int64{}
	for _, a := range settled.Accounts {
		proved[a.SubscriptionID] = projections.ReportedOverage{
			Counted: a.Counted, Accepted: a.Accepted, Pending: a.Pending, CarriedOpen: a.CarriedOpen, WrittenOff: a.WrittenOff, Credited: a.Credited,
		}
		refunds[a.SubscriptionID] = a.Refund
	}
	if diff := cmp.Diff(proved, shown); diff != "" {
		l.Fatalf("after %d events the read model shows other accounts (-audit +read model):\n%s", len(l.events), diff)
	}
	credits, err := l.model.Credits(l.Context(), uuid.Nil)
	if err != nil {
		l.Fatal(err)
	}
	got, want := map[string][2]int64{}, map[string][2]int64{}
	for _, c := range credits {
		got[c.SubscriptionID.String()+c.Month.String()] = [2]int64{c.Calls, c.Refund}
		refunds[c.SubscriptionID] -= c.Refund
	}
	for _, m := range l.replayed.Months() {
		if m.Credited > 0 {
			want[m.SubscriptionID.String()+m.Month.String()] = [2]int64{m.Credited, m.Refund}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Fatalf("after %d events the read model shows other credits and refunds (-audit +read model):\n%s", len(l.events), diff)
	}
	for id, left := range refunds {
		if left != 0 {
			l.Fatalf("the refunds of %s differ by %d between account and months", id, left)
		}
	}
}

// TestCreditsAsTheAuditProvesThem: whatever is counted, credited, sealed, carried and ended in whatever order, the read model
// prepares records that the audit finds right, and shows the same accounts, credits and refunds; in batches too.
func TestCreditsAsTheAuditProvesThem(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("life %d", seed), func(t *testing.T) {
			l := newMeteredLife(t, seed)
			for n := range 80 {
				if l.step(); n%12 == 11 {
					l.compare()
				}
			}
			l.prepare()
			l.compare()
			var lowered int64
			for _, a := range l.replayed.Settle().Accounts {
				lowered += a.Credited
			}
			if lowered == 0 {
				t.Error("no record was lowered: the test says nothing")
			}
			once := dump(t, l.pool, "metering")
			for _, size := range []int{5, 1 << 20} {
				pool, p := pgtest.Pool(t), projections.MeteringProjection()
				if err := engine.Prepare(t.Context(), pool, p); err != nil {
					t.Fatal(err)
				}
				for events := l.events; len(events) > 0; {
					n := min(size, len(events))
					applyAll(t, pool, p, events[:n])
					events = events[n:]
				}
				if diff := cmp.Diff(once, dump(t, pool, p.Name)); diff != "" {
					t.Errorf("in batches of %d other rows come out: %s", size, diff)
				}
				applyAll(t, pool, p, l.events)
				if diff := cmp.Diff(once, dump(t, pool, p.Name)); diff != "" {
					t.Errorf("a replay changed rows: %s", diff)
				}
			}
		})
	}
}
