package counting_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

func TestARepeatedRequestGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	for name, lag := range map[string]int64{"indexed": 0, "in the log's tail": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 2, domain.OverageStop)
			f.index.lag = lag
			a, b := f.node(), f.node()
			first := f.mustCheck(a, "k", 0.25)
			f.mustCheck(b, "", 0) // the quota is used up
			for _, counter := range []*counting.UsageCounter{a, b, f.node()} {
				if diff := cmp.Diff(first, f.mustCheck(counter, "k", 0.25)); diff != "" {
					t.Errorf("(-first +again):\n%s", diff)
				}
				if _, err := f.check(counter, "k", 0.5); !errors.Is(err, domain.ErrIdempotencyConflict) {
					t.Errorf("with another photo: %v, want conflict", err)
				}
			}
			f.record(f.owner, domain.SubscriptionEnded{SubscriptionID: f.owner.SubscriptionID})
			f.mustCheck(a, "k", 0.25) // it was paid for while the subscription served
			f.wantCounted(f.owner, november, 2)
		})
	}
}

func TestAKeyBelongsToItsSubscription(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	counter := f.node()
	f.mustCheck(counter, "k", 0.25)
	first := f.owner
	f.owner = f.subscription(10, domain.OverageStop)
	f.mustCheck(counter, "k", 0.5)
	f.wantCounted(first, november, 1)
	f.wantCounted(f.owner, november, 1)
}

func TestADuplicateWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	counter := f.node()
	first := f.begin(counter, "k")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := counter.Begin(ended, f.owner, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that leaves while it waits: %v, want cancelled", err)
	}
	var group sync.WaitGroup
	answers := make(chan domain.CheckCompleted, 4)
	for range cap(answers) {
		group.Go(func() {
			event, err := f.check(counter, "k", 0.25)
			if err != nil {
				t.Error(err)
			}
			answers <- event
		})
	}
	event, err := count(first, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	first.Release()
	group.Wait()
	close(answers)
	for answer := range answers {
		if diff := cmp.Diff(event, answer); diff != "" {
			t.Errorf("(-first +duplicate):\n%s", diff)
		}
	}
	f.wantCounted(f.owner, november, 1)
}

func TestADuplicateGoesOnWhenTheFirstFails(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	counter := f.node()
	first := f.begin(counter, "k")
	done := make(chan error)
	go func() {
		_, err := f.check(counter, "k", 0.5)
		done <- err
	}()
	first.Release() // its image was refused: nothing was counted, so the key is free, for another photo too
	if err := <-done; err != nil {
		t.Error(err)
	}
	f.wantCounted(f.owner, november, 1)
}

func TestAKeyIsFreeAfterADay(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	a, idle := f.node(), f.node()
	if _, err := idle.Quota(context.Background(), f.owner.SubscriptionID); err != nil {
		t.Fatal(err)
	}
	f.mustCheck(a, "k", 0.25)
	f.clock.Advance(24*time.Hour - time.Nanosecond)
	if e := f.mustCheck(a, "k", 0.25); e.Ordinal != 1 {
		t.Errorf("within the day it is call %d, want 1", e.Ordinal)
	}
	f.clock.Advance(time.Nanosecond)
	// This node comes across the old call only when its append conflicts.
	if e := f.mustCheck(idle, "k", 0.5); e.Ordinal != 2 || e.Judgement.FakeLikelihood != 0.5 {
		t.Errorf("after the day it is %+v, want call 2", e)
	}
	if e := f.mustCheck(a, "k", 0.5); e.Ordinal != 2 {
		t.Errorf("the key now stands for call %d, want 2", e.Ordinal)
	}
	f.wantCounted(f.owner, november, 2)
}

func TestAKeyOutlivesItsMonth(t *testing.T) {
	t.Parallel()
	for name, lag := range map[string]int64{"indexed": 0, "in the log's tail": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			f.index.lag = lag
			a, b := f.node(), f.node()
			f.clock.Set(november.End().Add(-time.Hour))
			first := f.mustCheck(a, "k", 0.25)
			f.clock.Advance(2 * time.Hour)
			f.mustCheck(b, "", 0)
			for _, counter := range []*counting.UsageCounter{a, b} {
				if diff := cmp.Diff(first, f.mustCheck(counter, "k", 0.25)); diff != "" {
					t.Errorf("(-first +again):\n%s", diff)
				}
			}
			f.clock.Advance(22 * time.Hour)
			f.mustCheck(b, "k", 0.5)
			f.wantCounted(f.owner, november, 1)
			f.wantCounted(f.owner, november.Next(), 2)
		})
	}
}

// The repetition comes to a node whose clock is still in the month before the one that the call was counted in.
func TestAKeyThatWasCountedInTheNextMonth(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead time.Duration
		lag   int64
	}{
		"indexed":              {2 * time.Second, 0},
		"in the log's tail":    {2 * time.Second, 100},
		"as far as clocks may": {time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			f.index.lag = test.lag
			ahead, behind := f.nodeAhead(test.ahead), f.node()
			f.clock.Set(november.End().Add(-test.ahead))
			f.mustCheck(behind, "", 0)
			first := f.mustCheck(ahead, "k", 0.25)
			for range 2 { // in the old month, then in the new one
				if diff := cmp.Diff(first, f.mustCheck(behind, "k", 0.25)); diff != "" {
					t.Errorf("(-first +again):\n%s", diff)
				}
				if _, err := f.check(behind, "k", 0.5); !errors.Is(err, domain.ErrIdempotencyConflict) {
					t.Errorf("with another photo: %v, want conflict", err)
				}
				f.clock.Advance(test.ahead)
			}
			f.wantCounted(f.owner, november, 1)
			f.wantCounted(f.owner, november.Next(), 1)
		})
	}
}

// Each of these has the same key under way on two nodes, which do not know of each other.

func TestTwoNodesOneKey(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	a, b := f.node(), f.node()
	onA, onB := f.begin(a, "k"), f.begin(b, "k")
	first, err := count(onA, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	again, err := count(onB, 0.25)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("%v (-first +again):\n%s", err, diff)
	}
	onA.Release()
	onB.Release()
	f.wantCounted(f.owner, november, 1)
}

func TestTwoNodesOneKeyWhenNoCallIsLeft(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*usageFixture){
		"ended": func(f *usageFixture) {
			f.record(f.owner, domain.SubscriptionEnded{SubscriptionID: f.owner.SubscriptionID})
		},
		"smaller plan": func(f *usageFixture) {
			f.record(f.owner, domain.PlanChanged{SubscriptionID: f.owner.SubscriptionID, Limit: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			a, b := f.node(), f.node()
			onA, onB, other := f.begin(a, "k"), f.begin(b, "k"), f.begin(b, "other")
			first, err := count(onA, 0.25)
			if err != nil {
				t.Fatal(err)
			}
			change(f)
			// B has not heard of the first call; before it refuses the second it must have looked.
			again, err := count(onB, 0.25)
			if diff := cmp.Diff(first, again); err != nil || diff != "" {
				t.Errorf("%v (-first +again):\n%s", err, diff)
			}
			if _, err := count(other, 0.25); domain.KindOf(err) == "" || errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("another key: %v, want a refusal", err)
			}
			onA.Release()
			onB.Release()
			other.Release()
			f.wantCounted(f.owner, november, 1)
		})
	}
}

// behindItself shows nothing new in the first reads after an append, as a replica of the log may.
type behindItself struct {
	commands.EventStore
	reads int
}

func (s *behindItself) Append(
	ctx context.Context, stream string, expected int64, events []commands.Proposed,
) (commands.Appended, error) {
	s.reads = 2
	return s.EventStore.Append(ctx, stream, expected, events)
}

func (s *behindItself) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	if s.reads > 0 {
		s.reads--
		return nil, nil
	}
	return s.EventStore.Read(ctx, stream, from, limit)
}

func TestTwoNodesOneKeyAtTheSameRevision(t *testing.T) {
	t.Parallel()
	for name, likelihood := range map[string]float64{"the same photo": 0.25, "another photo": 0.5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			store := &commandstest.HookedStore{EventStore: &behindItself{EventStore: f.store}}
			a, b := f.nodeOn(store), f.node()
			onA, onB := f.begin(a, "k"), f.begin(b, "k")
			var first domain.CheckCompleted
			var once sync.Once
			// The store takes A's append, with the same event id at the same revision, for B's repeated.
			store.BeforeAppend = func(string) {
				once.Do(func() {
					f.clock.Advance(time.Second)
					var err error
					if first, err = count(onB, 0.25); err != nil {
						t.Error(err)
					}
				})
			}
			got, err := count(onA, likelihood)
			if likelihood == 0.25 {
				if diff := cmp.Diff(first, got); err != nil || diff != "" {
					t.Errorf("%v (-first +again):\n%s", err, diff)
				}
			} else if !errors.Is(err, domain.ErrIdempotencyConflict) {
				t.Errorf("%+v, %v; want conflict", got, err)
			}
			onA.Release()
			onB.Release()
			f.mustCheck(a, "", 0)
			f.wantCounted(f.owner, november, 2)
		})
	}
}

func TestTwoNodesOneKeyBeforeTheFirstLook(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	f.index.lag = 100
	store := &commandstest.HookedStore{EventStore: f.store}
	a, b := f.nodeOn(store), f.node()
	var once sync.Once
	// A has looked for the key and not found it; when it reads how much is counted, B has counted the call.
	store.BeforeReadLast = func(string) { once.Do(func() { f.mustCheck(b, "k", 0.25) }) }
	if e := f.mustCheck(a, "k", 0.25); e.Ordinal != 1 {
		t.Errorf("call %d, want 1", e.Ordinal)
	}
	f.wantCounted(f.owner, november, 1)
}

func TestTwoNodesOneKeyOverTheMonthsEnd(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	a, b := f.node(), f.node()
	f.clock.Set(november.End().Add(-time.Second))
	f.mustCheck(a, "", 0)
	f.mustCheck(b, "", 0)
	onA, onB := f.begin(a, "k"), f.begin(b, "k")
	first, err := count(onA, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(2 * time.Second)
	again, err := count(onB, 0.25)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("%v (-first +again):\n%s", err, diff)
	}
	onA.Release()
	onB.Release()
	f.wantCounted(f.owner, november, 3)
	f.wantCounted(f.owner, november.Next(), 0)
}
