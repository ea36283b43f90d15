package counting_test

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// usageFixture is one subscription in a log that several counters, as on several nodes, share.
type usageFixture struct {
	t     tester
	clock *commandstest.Clock
	store *memorystore.Store
	owner counting.KeyOwner
	index *logIndex
}

// tester is a test, a benchmark or a property.
type tester interface {
	rapid.TB
	Cleanup(func())
}

var november = domain.Month{Year: 2026, Month: time.November}

func newUsageFixture(t tester, limit int64, beyond domain.OveragePolicy) *usageFixture {
	t.Helper()
	f := &usageFixture{t: t, clock: commandstest.NewClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))}
	f.store = memorystore.New(f.clock.Now)
	f.index = &logIndex{store: f.store, seen: map[string][]uuid.UUID{}}
	f.owner = f.subscription(limit, beyond)
	return f
}

// subscription starts one more subscription.
func (f *usageFixture) subscription(limit int64, beyond domain.OveragePolicy) counting.KeyOwner {
	f.t.Helper()
	owner := counting.KeyOwner{SubscriptionID: uuid.New(), CustomerID: uuid.New(), Slot: domain.SlotPrimary}
	f.record(owner, domain.SubscriptionStarted{
		SubscriptionID: owner.SubscriptionID, CustomerID: owner.CustomerID, Plan: domain.PlanStarter, Limit: limit, Overage: beyond,
	})
	return owner
}

// record appends to the subscription's stream, as other commands do, and returns when it holds on every node.
func (f *usageFixture) record(owner counting.KeyOwner, events ...domain.Event) {
	f.t.Helper()
	ctx, stream, expected := context.Background(), domain.SubscriptionStream(owner.SubscriptionID), commands.NoStream
	if last, found, err := f.store.ReadLast(ctx, stream); err != nil {
		f.t.Fatal(err)
	} else if found {
		expected = int64(last.Revision)
	}
	var proposed []commands.Proposed
	for _, event := range events {
		proposed = append(proposed, commands.Proposed{ID: uuid.New(), Event: event})
	}
	if _, err := f.store.Append(ctx, stream, expected, proposed); err != nil {
		f.t.Fatal(err)
	}
	f.clock.Advance(commands.MaxStaleness)
}

// node is one more process: a counter of its own on the shared log.
func (f *usageFixture) node() *counting.UsageCounter { return f.nodeOn(f.store) }

func (f *usageFixture) nodeOn(store commands.EventStore) *counting.UsageCounter {
	counter := f.newCounter(store)
	f.t.Cleanup(func() {
		if !f.t.Failed() { // a test that gave up may hold reservations, for which Close would wait
			counter.Close()
		}
	})
	return counter
}

// nodeAhead is a node whose clock is ahead of the others'.
func (f *usageFixture) nodeAhead(ahead time.Duration) *counting.UsageCounter {
	now := func() time.Time { return f.clock.Now().Add(ahead) }
	counter := counting.NewUsageCounter(f.store, f.index, now, slog.New(slog.DiscardHandler))
	f.t.Cleanup(counter.Close)
	return counter
}

// newCounter is a node that ends as a crash does: without a word.
func (f *usageFixture) newCounter(store commands.EventStore) *counting.UsageCounter {
	return counting.NewUsageCounter(store, f.index, f.clock.Now, slog.New(slog.DiscardHandler))
}

// logIndex finds checks in the log itself, except for those of the last few ordinals that it has not seen yet.
type logIndex struct {
	store  *memorystore.Store
	lag    int64
	behind func() int64 // instead of lag, unless it is nil

	mu   sync.Mutex
	seen map[string][]uuid.UUID // by stream, in its order
}

func (i *logIndex) FindCheck(
	ctx context.Context, subscription uuid.UUID, month domain.Month, check uuid.UUID,
) (ordinal int64, found bool, indexed int64, err error) {
	ids, err := i.ids(ctx, domain.UsageStream(subscription, month))
	if err != nil {
		return 0, false, 0, err
	}
	lag := i.lag
	if i.behind != nil {
		lag = i.behind()
	}
	indexed = max(0, int64(len(ids))-lag)
	for n, id := range ids[:indexed] {
		if id == check {
			ordinal, found = int64(n+1), true
		}
	}
	return ordinal, found, indexed, nil
}

func (i *logIndex) ids(ctx context.Context, stream string) ([]uuid.UUID, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	page, err := i.store.Read(ctx, stream, uint64(len(i.seen[stream])), 1<<20)
	if err != nil {
		return nil, err
	}
	for _, recorded := range page {
		i.seen[stream] = append(i.seen[stream], recorded.Event.(domain.CheckCompleted).CheckID)
	}
	return i.seen[stream], nil
}

var by = commands.Origin{Actor: domain.ActorAPIClient}

// check is the whole way of one request: admitted, answered from before or counted, released. Likelihood stands for the
// photo.
func (f *usageFixture) check(counter *counting.UsageCounter, key string, likelihood float64) (domain.CheckCompleted, error) {
	reservation, err := counter.Begin(context.Background(), f.owner, key)
	if err != nil {
		return domain.CheckCompleted{}, err
	}
	defer reservation.Release()
	return count(reservation, likelihood)
}

// digestOf is the digest of the photo that a likelihood stands for.
func digestOf(likelihood float64) string {
	return "digest of " + time.Duration(likelihood*1e9).String()
}

func count(reservation *counting.Reservation, likelihood float64) (domain.CheckCompleted, error) {
	digest := digestOf(likelihood)
	if event, found, err := reservation.Prior(digest); found || err != nil {
		return event, err
	}
	return reservation.Count(context.Background(), by, digest, domain.Judgement{FakeLikelihood: likelihood})
}

func (f *usageFixture) begin(counter *counting.UsageCounter, key string) *counting.Reservation {
	f.t.Helper()
	reservation, err := counter.Begin(context.Background(), f.owner, key)
	if err != nil {
		f.t.Fatal(err)
	}
	return reservation
}

func (f *usageFixture) mustCheck(counter *counting.UsageCounter, key string, likelihood float64) domain.CheckCompleted {
	f.t.Helper()
	event, err := f.check(counter, key, likelihood)
	if err != nil {
		f.t.Fatal(err)
	}
	return event
}

// wantCounted checks the stream of a month: as many calls as wanted, each one consistent with the one before.
func (f *usageFixture) wantCounted(owner counting.KeyOwner, month domain.Month, want int) []domain.CheckCompleted {
	f.t.Helper()
	page, err := f.store.Read(context.Background(), domain.UsageStream(owner.SubscriptionID, month), 0, 1<<20)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(page) != want {
		f.t.Errorf("%d calls are counted in %s, want %d", len(page), month, want)
	}
	var included, overage int64
	events := make([]domain.CheckCompleted, len(page))
	for i, recorded := range page {
		e := recorded.Event.(domain.CheckCompleted)
		if e.Billing == domain.BillingIncluded {
			included++
		} else {
			overage++
		}
		within := e.Ordinal <= e.Limit
		if e.Ordinal != int64(i+1) || e.IncludedTotal != included || e.OverageTotal != overage || within != (e.Billing == domain.BillingIncluded) ||
			e.Month != month || domain.MonthOf(e.CompletedAt) != month || e.CheckID != recorded.ID ||
			e.Overage == domain.OverageStop && !within {
			f.t.Errorf("event %d of %s is not consistent (%d included, %d overage before and with it): %+v", i, month, included, overage, e)
		}
		events[i] = e
	}
	return events
}
