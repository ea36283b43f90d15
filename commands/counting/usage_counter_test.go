package counting_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

func TestChecksThatWaitTogetherShareAnAppend(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageContinue)
	first, proceed := make(chan struct{}), make(chan struct{})
	var appends atomic.Int64
	var once sync.Once
	counter := f.nodeOn(&commandstest.HookedStore{EventStore: f.store, BeforeAppend: func(string) {
		appends.Add(1)
		once.Do(func() {
			close(first)
			<-proceed
		})
	}})
	const calls = 20
	reservations := make([]*counting.Reservation, calls)
	for i := range reservations {
		reservations[i] = f.begin(counter, "")
	}
	outcomes := make(chan error, calls)
	go func() {
		_, err := count(reservations[0], 0)
		outcomes <- err
	}()
	<-first
	var handedOver sync.WaitGroup
	for _, reservation := range reservations[1:] {
		handedOver.Add(1)
		go func() {
			handedOver.Done()
			_, err := count(reservation, 0)
			outcomes <- err
		}()
	}
	handedOver.Wait()
	close(proceed)
	for range calls {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
	for _, reservation := range reservations {
		reservation.Release()
	}
	if n := appends.Load(); n >= calls {
		t.Errorf("%d appends for %d calls", n, calls)
	}
	events := f.wantCounted(f.owner, november, calls)
	if last := events[calls-1]; last.IncludedTotal != 10 || last.OverageTotal != 10 {
		t.Errorf("totals %d and %d, want 10 and 10", last.IncludedTotal, last.OverageTotal)
	}
}

func TestStopIsExactOnSeveralNodes(t *testing.T) {
	t.Parallel()
	const limit, clients, each = 100, 16, 20
	f := newUsageFixture(t, limit, domain.OverageStop)
	nodes := []*counting.UsageCounter{f.node(), f.node(), f.node()}
	var counted, refused atomic.Int64
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for i := range each {
				switch _, err := f.check(nodes[(client+i)%len(nodes)], "", 0); {
				case err == nil:
					counted.Add(1)
				case errors.Is(err, domain.ErrQuotaExceeded):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if counted.Load() != limit || refused.Load() != clients*each-limit {
		t.Errorf("%d counted and %d refused, want %d and %d", counted.Load(), refused.Load(), limit, clients*each-limit)
	}
	f.wantCounted(f.owner, november, limit)
}

// A ceiling is as exact as stop, also when it is moved and the plan changes meanwhile: it counts from the plan of the moment.
func TestACeilingIsExactOnSeveralNodes(t *testing.T) {
	t.Parallel()
	const limit, ceiling, clients, each = 60, 40, 16, 20
	f := newUsageFixture(t, limit, domain.OverageContinue)
	f.record(f.owner, domain.OverageSwitched{SubscriptionID: f.owner.SubscriptionID, To: domain.OverageContinue, Ceiling: ceiling})
	nodes := []*counting.UsageCounter{f.node(), f.node(), f.node()}
	storm := func(want int64) {
		t.Helper()
		var counted atomic.Int64
		var group sync.WaitGroup
		for client := range clients {
			group.Go(func() {
				for i := range each {
					switch _, err := f.check(nodes[(client+i)%len(nodes)], "", 0); {
					case err == nil:
						counted.Add(1)
					case !errors.Is(err, domain.ErrQuotaExceeded):
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if counted.Load() != want {
			t.Errorf("%d counted, want %d", counted.Load(), want)
		}
	}
	storm(limit + ceiling)
	f.record(f.owner, domain.PlanChanged{SubscriptionID: f.owner.SubscriptionID, Plan: domain.PlanStarter, Limit: limit + 30})
	storm(30)
	f.record(f.owner, domain.OverageSwitched{SubscriptionID: f.owner.SubscriptionID, To: domain.OverageContinue, Ceiling: ceiling + 10})
	storm(10)
	f.record(f.owner, domain.PlanChanged{SubscriptionID: f.owner.SubscriptionID, Plan: domain.PlanStarter, Limit: limit})
	storm(0)
	f.wantCounted(f.owner, november, limit+ceiling+40)
}

func TestContinueNeverRefuses(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 30, domain.OverageContinue)
	nodes := []*counting.UsageCounter{f.node(), f.node()}
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			for range 10 {
				if _, err := f.check(nodes[client%2], "", 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	f.wantCounted(f.owner, november, 80)
}

func TestPlacesBelowTheLimit(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 2, domain.OverageStop)
	counter := f.node()
	first, second := f.begin(counter, ""), f.begin(counter, "")
	if _, err := counter.Begin(context.Background(), f.owner, ""); !errors.Is(err, domain.ErrQuotaExceeded) {
		t.Errorf("with both places reserved: %v, want quota exceeded", err)
	}
	second.Release() // its image was refused
	third := f.begin(counter, "")
	third.Release()
	if _, err := count(first, 0); err != nil {
		t.Fatal(err)
	}
	// The first call is counted and not released yet: it must not take a second place.
	fourth := f.begin(counter, "")
	first.Release()
	if _, err := count(fourth, 0); err != nil {
		t.Fatal(err)
	}
	fourth.Release()
	if _, err := counter.Begin(context.Background(), f.owner, ""); !errors.Is(err, domain.ErrQuotaExceeded) {
		t.Errorf("with both places used: %v, want quota exceeded", err)
	}
	f.wantCounted(f.owner, november, 2)
}

func TestSwitchesAndPlansTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1, domain.OverageContinue)
	a, b := f.node(), f.node()
	f.mustCheck(a, "", 0)
	f.mustCheck(b, "", 0)
	admitted := f.begin(a, "")
	f.record(f.owner, domain.OverageSwitched{SubscriptionID: f.owner.SubscriptionID, To: domain.OverageStop})
	if _, err := count(admitted, 0); !errors.Is(err, domain.ErrQuotaExceeded) {
		t.Errorf("admitted before the switch, counted after it: %v, want quota exceeded", err)
	}
	admitted.Release()
	if _, err := f.check(b, "", 0); !errors.Is(err, domain.ErrQuotaExceeded) {
		t.Errorf("after the switch: %v, want quota exceeded", err)
	}
	f.record(f.owner, domain.PlanChanged{SubscriptionID: f.owner.SubscriptionID, Plan: domain.PlanStandard, Limit: 3})
	if e := f.mustCheck(b, "", 0); e.Ordinal != 3 || e.Billing != domain.BillingIncluded || e.Plan != domain.PlanStandard || e.SubscriptionRevision != 2 {
		t.Errorf("after the plan: %+v", e)
	}
	f.record(f.owner, domain.SubscriptionEnded{SubscriptionID: f.owner.SubscriptionID})
	if _, err := f.check(a, "", 0); !errors.Is(err, domain.ErrSubscriptionInactive) {
		t.Errorf("after the end: %v, want inactive", err)
	}
	f.wantCounted(f.owner, november, 3)
}

// Between a change and the moment that its command answers, a node may count on what it saw last, but refuse only on what
// is.
func TestAStaleNodeCountsAndNeverRefuses(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1, domain.OverageContinue)
	counter := f.node()
	f.mustCheck(counter, "", 0)
	seen := f.clock.Now()
	f.record(f.owner, domain.OverageSwitched{SubscriptionID: f.owner.SubscriptionID, To: domain.OverageStop})
	f.clock.Set(seen.Add(commands.MaxStaleness - 1))
	if e := f.mustCheck(counter, "", 0); e.SubscriptionRevision != 0 || e.Billing != domain.BillingOverage {
		t.Errorf("counted on revision %d as %s, want what was seen last", e.SubscriptionRevision, e.Billing)
	}
	f.clock.Set(seen.Add(commands.MaxStaleness))
	if _, err := f.check(counter, "", 0); !errors.Is(err, domain.ErrQuotaExceeded) {
		t.Errorf("counted on what is too old: %v, want quota exceeded", err)
	}
	f.record(f.owner, domain.PlanChanged{SubscriptionID: f.owner.SubscriptionID, Plan: domain.PlanStandard, Limit: 3})
	f.clock.Advance(-commands.MaxStaleness)
	if e := f.mustCheck(counter, "", 0); e.SubscriptionRevision != 2 {
		t.Errorf("counted on revision %d, want what is, after a refusal on what was", e.SubscriptionRevision)
	}
}

func TestMonthChangesUnderWay(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1, domain.OverageStop)
	counter := f.node()
	f.clock.Set(time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC))
	f.mustCheck(counter, "", 0)
	f.record(f.owner, domain.PlanChanged{SubscriptionID: f.owner.SubscriptionID, Plan: domain.PlanStarter, Limit: 2})
	admitted := f.begin(counter, "") // in November, with one call left
	f.clock.Set(time.Date(2026, 12, 1, 0, 0, 0, 1, time.UTC))
	if e, err := count(admitted, 0); err != nil || e.Month != november.Next() || e.Ordinal != 1 {
		t.Errorf("admitted in November, counted in December: %+v, %v", e, err)
	}
	admitted.Release()
	f.mustCheck(counter, "", 0)
	f.wantCounted(f.owner, november, 1)
	f.wantCounted(f.owner, november.Next(), 2)
	quota, err := counter.Quota(context.Background(), f.owner.SubscriptionID)
	if err != nil || quota.Usage.Month != november.Next() || quota.Remaining() != 0 || quota.OverLimit() != 0 {
		t.Errorf("quota %+v, %v", quota, err)
	}
}

func TestACallIsCompletedInTheMonthItCountsIn(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageContinue)
	midnight := november.End()
	f.clock.Set(midnight.Add(-time.Second))
	store := &commandstest.HookedStore{EventStore: f.store}
	counter := f.nodeOn(store)
	reservation := f.begin(counter, "")
	f.clock.Advance(commands.MaxStaleness)
	// The month ends after the call was handed over and before it is decided on.
	store.BeforeRead = func(stream string) { f.clock.Set(midnight.Add(time.Second)) }
	if e, err := count(reservation, 0); err != nil || e.Month != november.Next() || !e.CompletedAt.Equal(midnight) {
		t.Errorf("counted in %s, completed at %s, %v; want the first instant of December", e.Month, e.CompletedAt, err)
	}
	reservation.Release()
	f.wantCounted(f.owner, november.Next(), 1)
}

func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]memorystore.Fault{
		"written and not told": memorystore.UnavailableAfter, "not written": memorystore.UnavailableBefore, "conflict": memorystore.Conflict,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			a, b := f.node(), f.node()
			f.mustCheck(a, "", 0)
			f.mustCheck(b, "", 0)
			var failed atomic.Int64
			f.store.Inject(func(operation memorystore.Operation) memorystore.Fault {
				if operation.Kind == memorystore.Append && failed.Add(1) <= 2 {
					return fault
				}
				return memorystore.None
			})
			f.mustCheck(a, "k", 0.25)
			f.mustCheck(b, "", 0)
			if failed.Load() < 3 {
				t.Error("no fault has struck")
			}
			if e := f.mustCheck(b, "k", 0.25); e.Ordinal != 3 {
				t.Errorf("the retry is answered with call %d, want 3", e.Ordinal)
			}
			f.wantCounted(f.owner, november, 4)
		})
	}
}

// TestOlderLogIsStartedOverFrom counts on a log that was restored from a backup while the node went on running.
func TestOlderLogIsStartedOverFrom(t *testing.T) {
	t.Parallel()
	f, backup := newUsageFixture(t, 10, domain.OverageStop), newUsageFixture(t, 10, domain.OverageStop)
	store := &commandstest.HookedStore{EventStore: f.store}
	counter := f.nodeOn(store)
	for range 3 {
		f.mustCheck(counter, "", 0)
	}
	backup.owner = f.owner
	backup.record(f.owner, domain.SubscriptionStarted{
		SubscriptionID: f.owner.SubscriptionID, CustomerID: f.owner.CustomerID, Plan: domain.PlanStarter, Limit: 10, Overage: domain.OverageStop,
	})
	backup.mustCheck(backup.node(), "", 0)
	store.EventStore = backup.store
	if e := f.mustCheck(counter, "", 0); e.Ordinal != 2 {
		t.Errorf("counted as call %d, want 2", e.Ordinal)
	}
	backup.wantCounted(f.owner, november, 2)
}

func TestStoreThatCannotBeReadRefuses(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	counter := f.node()
	f.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	for _, key := range []string{"", "k"} {
		if _, err := f.check(counter, key, 0); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("key %q: %v, want unavailable", key, err)
		}
	}
	admitted := func() *counting.Reservation {
		f.store.Inject(nil)
		return f.begin(counter, "")
	}()
	f.store.Inject(func(operation memorystore.Operation) memorystore.Fault {
		if operation.Kind == memorystore.Read {
			return memorystore.UnavailableBefore
		}
		return memorystore.None
	})
	f.clock.Advance(commands.MaxStaleness)
	if _, err := count(admitted, 0); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	admitted.Release()
	f.store.Inject(nil)
	f.mustCheck(counter, "k", 0)
	f.wantCounted(f.owner, november, 1)
}

func TestCloseFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	counter := f.node()
	reservation := f.begin(counter, "")
	closed := make(chan struct{})
	go func() {
		counter.Close()
		close(closed)
	}()
	for { // until the counter refuses
		late, err := counter.Begin(context.Background(), f.owner, "")
		if errors.Is(err, domain.ErrUnavailable) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		late.Release()
	}
	if _, err := count(reservation, 0); err != nil {
		t.Errorf("a call that was admitted before: %v", err)
	}
	select {
	case <-closed:
		t.Error("closed before the reservation was released")
	default:
	}
	reservation.Release()
	<-closed
	f.wantCounted(f.owner, november, 1)
}

func TestQuotaIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1, domain.OverageContinue)
	a, b := f.node(), f.node()
	if _, ok := a.LastQuota(f.owner.SubscriptionID); ok {
		t.Error("a counter that has seen nothing knows a quota")
	}
	f.mustCheck(a, "", 0)
	f.mustCheck(b, "", 0)
	f.mustCheck(b, "", 0)
	quota, err := a.Quota(context.Background(), f.owner.SubscriptionID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{3, 0, 2}, []int64{quota.Usage.Counted(), quota.Remaining(), quota.OverLimit()}); diff != "" {
		t.Errorf("counted, remaining, over (-want +got):\n%s", diff)
	}
	if last, ok := a.LastQuota(f.owner.SubscriptionID); !ok || last != quota {
		t.Errorf("last quota %+v, %t; want %+v", last, ok, quota)
	}
}

// However much others have counted, a node follows all of it.
func TestManyCallsOfOthersAreFollowed(t *testing.T) {
	t.Parallel()
	const calls = 2 * commands.PageSize
	f := newUsageFixture(t, calls, domain.OverageStop)
	node, other := f.node(), f.node()
	if _, err := node.Quota(t.Context(), f.owner.SubscriptionID); err != nil {
		t.Fatal(err)
	}
	for range calls {
		f.mustCheck(other, "", 0)
	}
	if quota, err := node.Quota(t.Context(), f.owner.SubscriptionID); err != nil || quota.Usage.Included != calls {
		t.Errorf("%d calls are known, %v", quota.Usage.Included, err)
	}
}

// The last call of a plan is counted without another look, as all before it are.
func TestTheLastCallOfAPlanNeedsNoReading(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1, domain.OverageStop)
	store, reads := f.readsOf()
	reservation := f.begin(f.nodeOn(store), "")
	defer reservation.Release()
	before := reads.Load()
	if _, err := count(reservation, 0); err != nil || reads.Load() != before {
		t.Errorf("the month was read %d times, %v", reads.Load()-before, err)
	}
}

// TestConflictBeforeItsWinnerCanBeRead lets a node lose to another whose check cannot be read at once.
func TestConflictBeforeItsWinnerCanBeRead(t *testing.T) {
	t.Parallel()
	const hiddenReads = 15 // beyond the number of times that a command decides again
	for name, namesRevision := range map[string]bool{"the conflict says the revision": true, "the conflict says nothing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			rival := f.node()
			var once sync.Once
			appends := 0
			node := f.nodeOn(eventstoretest.LateWinner(&commandstest.HookedStore{EventStore: f.store, BeforeAppend: func(string) {
				appends++
				once.Do(func() { f.mustCheck(rival, "", 0) })
			}}, hiddenReads, namesRevision))
			f.mustCheck(node, "", 0)
			f.wantCounted(f.owner, november, 2)
			if appends != 2 {
				t.Errorf("%d appends until the call is counted, want one that is lost and one more", appends)
			}
		})
	}
}

// With up to four calls under way nothing waits for company; with more, a quarter of them shares an append, and who stays
// alone is counted after 25 ms.
func TestCallsGather(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		underWay, counted int
		took              time.Duration
	}{
		"one": {1, 1, 0}, "four": {4, 1, 0}, "one of five": {5, 1, 25 * time.Millisecond}, "two of eight": {8, 2, 0}, "two of nine": {9, 2, 25 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newUsageFixture(t, 1000, domain.OverageStop)
				counter := f.node()
				reservations := make([]*counting.Reservation, c.underWay)
				for i := range reservations {
					reservations[i] = f.begin(counter, "")
				}
				began := time.Now()
				var answered sync.WaitGroup
				for _, reservation := range reservations[:c.counted] {
					answered.Go(func() {
						if _, err := count(reservation, 0); err != nil {
							t.Error(err)
						}
					})
				}
				answered.Wait()
				if took := time.Since(began); took != c.took {
					t.Errorf("answered after %s, want %s", took, c.took)
				}
				for _, reservation := range reservations {
					reservation.Release()
				}
			})
		})
	}
}
