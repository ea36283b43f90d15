package counting_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// fill appends calls to the current month, spread evenly up to now over a time. Every tenth had an Idempotency-Key, which
// names its place.
func (f *usageFixture) fill(calls int, over time.Duration) {
	f.t.Helper()
	month := domain.MonthOf(f.clock.Now())
	stream, subscription := domain.UsageStream(f.owner.SubscriptionID, month), f.state()
	usage, expected := domain.UsageMonth{Month: month}, commands.NoStream
	var page []commands.Proposed
	for n := range calls {
		check := domain.Check{ID: uuid.New(), At: f.clock.Now().Add(-over + over/time.Duration(calls)*time.Duration(n+1))}
		if n%10 == 0 {
			check.ID, check.RequestDigest = domain.CheckIDForIdempotencyKey(f.owner.SubscriptionID, filledKey(n)), digestOf(0.25)
		}
		event, err := usage.Count(subscription, 0, check)
		if err != nil {
			f.t.Fatal(err)
		}
		usage = usage.Fold(event)
		if page = append(page, commands.Proposed{ID: event.CheckID, Event: event}); len(page) < 500 && n < calls-1 {
			continue
		}
		appended, err := f.store.Append(context.Background(), stream, expected, page)
		if err != nil {
			f.t.Fatal(err)
		}
		expected, page = int64(appended.Revision), nil
	}
}

func filledKey(n int) string { return fmt.Sprintf("key of call %d", n+1) }

func (f *usageFixture) state() domain.Subscription {
	f.t.Helper()
	s, err := commands.Read[domain.Subscription](context.Background(), f.store, domain.SubscriptionStream(f.owner.SubscriptionID))
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// readsOf returns a store and how often it has been read of usage.
func (f *usageFixture) readsOf() (store commands.EventStore, reads *atomic.Int64) {
	reads = &atomic.Int64{}
	count := func(stream string) {
		if domain.CategoryUsage.Holds(stream) {
			reads.Add(1)
		}
	}
	return &commandstest.HookedStore{EventStore: f.store, BeforeRead: count, BeforeReadLast: count}, reads
}

// While no worker brings the index up to the log, the month is read once on a node, as far back as keys stand, and a check with
// a key costs what it always does.
func TestAKeyedCheckCostsTheSameWithoutAnIndex(t *testing.T) {
	t.Parallel()
	const calls = 50_000
	for name, test := range map[string]struct {
		over  time.Duration
		first int64 // reads of the first check on a node
	}{
		"all within a day":     {20 * time.Hour, 106},
		"over three weeks":     {500 * time.Hour, 12},
		"nothing for 40 hours": {0, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 1<<40, domain.OverageStop)
			f.clock.Set(november.End().Add(-48 * time.Hour))
			f.fill(calls, test.over)
			if test.over == 0 {
				f.clock.Advance(40 * time.Hour)
			}
			f.index.lag = calls * 2
			store, reads := f.readsOf()
			node := f.nodeOn(store)
			var costs []int64
			for n := range 5 {
				before := reads.Load()
				f.mustCheck(node, fmt.Sprintf("new key %d", n), 0.25)
				costs = append(costs, reads.Load()-before)
			}
			t.Logf("reads of the month's log by five checks with a key: %v", costs)
			for n, cost := range costs {
				if most := max(2, test.first*int64(1-min(n, 1))); cost > most {
					t.Errorf("check %d with a key read the month's log %d times, want %d at most", n+1, cost, most)
				}
			}
		})
	}
}

// With an index that is up to date, or nearly so, a check with a key reads what the index lacks and its own event again.
func TestAKeyedCheckWithAnIndex(t *testing.T) {
	t.Parallel()
	for _, lag := range []int64{0, 1, 300} {
		f := newUsageFixture(t, 1<<40, domain.OverageStop)
		f.fill(1000, time.Hour)
		f.index.lag = lag
		store, reads := f.readsOf()
		node := f.nodeOn(store)
		f.mustCheck(node, "", 0)
		for n := range 5 {
			before := reads.Load()
			f.mustCheck(node, fmt.Sprintf("new key %d", n), 0.25)
			if cost := reads.Load() - before; cost != 2 {
				t.Errorf("%d calls behind, check %d with a key read the month's log %d times, want 2", lag, n+1, cost)
			}
		}
	}
}

// Where the index is, or how far behind, is never seen from outside: a key stands for one call, on every node and at any time.
func TestKeysAreFoundWhereverTheIndexIs(t *testing.T) {
	t.Parallel()
	const calls = 1200
	f := newUsageFixture(t, 1<<40, domain.OverageStop)
	f.fill(calls, 20*time.Hour)
	nodes := []*counting.UsageCounter{f.node(), f.node()}
	for _, n := range []int{0, 690, 700, 710, 1190} {
		for _, lag := range []int64{0, 1, 499, 500, 501, 1199, 1200, 10_000} {
			for i, node := range append(nodes, f.node()) {
				f.index.lag = lag
				if e := f.mustCheck(node, filledKey(n), 0.25); e.Ordinal != int64(n+1) {
					t.Fatalf("node %d, %d calls behind: key of call %d stands for call %d", i, lag, n+1, e.Ordinal)
				}
			}
		}
	}
	f.wantCounted(f.owner, november, calls)
}

// The same while many search and count at once, with an index that is elsewhere for each.
func TestKeysAreFoundWhileOthersCount(t *testing.T) {
	t.Parallel()
	const calls, keys, each = 1200, 20, 3
	f := newUsageFixture(t, 1<<40, domain.OverageStop)
	f.fill(calls, 20*time.Hour)
	f.index.behind = func() int64 { return rand.Int64N(calls + 200) }
	nodes := []*counting.UsageCounter{f.node(), f.node(), f.node()}
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			for n := range keys * each {
				key, want := fmt.Sprintf("new %d", (n+client*7)%keys), int64(0)
				if n%3 == 0 {
					call := rand.IntN(calls/10) * 10
					key, want = filledKey(call), int64(call+1)
				}
				e, err := f.check(nodes[(client+n)%len(nodes)], key, 0.25)
				if err != nil || want != 0 && e.Ordinal != want {
					t.Errorf("%s: call %d, %v; want call %d", key, e.Ordinal, err, want)
				}
			}
		})
	}
	group.Wait()
	f.wantCounted(f.owner, november, calls+keys)
}

// A node that had read on is not wrong about what it skipped when the index overtook it.
func TestAnIndexThatOvertakesTheNode(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1<<40, domain.OverageStop)
	f.fill(700, time.Hour)
	node, other := f.node(), f.node()
	f.index.lag = 650
	f.mustCheck(node, "first", 0.25)
	for n := range 20 {
		f.mustCheck(other, fmt.Sprintf("other %d", n), 0.25)
	}
	f.index.lag = 3 // it has come further than the node had read
	f.mustCheck(node, "second", 0.25)
	f.index.lag = 1000 // and is rebuilt
	for n := range 20 {
		if e := f.mustCheck(node, fmt.Sprintf("other %d", n), 0.25); e.Ordinal != int64(702+n) {
			t.Errorf("key %d stands for call %d", n, e.Ordinal)
		}
	}
	f.wantCounted(f.owner, november, 722)
}
