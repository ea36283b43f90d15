package commands_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// brokenStore is a log whose appends are answered by append.
type brokenStore struct {
	commands.EventStore

	appends atomic.Int64
	append  func(ctx context.Context) error
}

func (s *brokenStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	s.appends.Add(1)
	if err := s.append(ctx); err != nil {
		return commands.Appended{}, err
	}
	return s.EventStore.Append(ctx, stream, expected, events)
}

// withoutQuorum takes appends and never answers, for as long as an attempt may take.
func withoutQuorum(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	<-ctx.Done()
	return fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, ctx.Err())
}

var judged = domain.Judgement{ValidFace: true, FakeLikelihood: 0.01}

// Without a quorum every check is answered within ten seconds, also one that waits behind another batch.
func TestCheckWithoutAQuorumIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newUsageFixture(t, 1000, domain.OverageContinue)
		store := &brokenStore{EventStore: f.store, append: withoutQuorum}
		counter := f.nodeOn(store)
		var answered sync.WaitGroup
		for i := range 12 {
			answered.Go(func() {
				time.Sleep(time.Duration(i) * 700 * time.Millisecond) // in the bubble's time
				begun := time.Now()
				ticket, err := counter.Begin(t.Context(), f.owner, "")
				if err != nil {
					t.Errorf("check %d: %v", i, err)
					return
				}
				defer ticket.Release()
				_, err = ticket.Count(t.Context(), commands.NewOrigin(domain.ActorAPIClient), "", judged)
				if took := time.Since(begun); !errors.Is(err, domain.ErrUnavailable) || took > 9500*time.Millisecond {
					t.Errorf("check %d: after %v: %v", i, took, err)
				}
			})
		}
		answered.Wait()
	})
}

// While the store is known to be down nothing is repeated, and the caller is told at once.
func TestAppendToAStoreKnownToBeDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newUsageFixture(t, 1000, domain.OverageContinue)
		store := &brokenStore{EventStore: f.store, append: func(context.Context) error { return commands.ErrStoreDown }}
		begun := time.Now()
		_, err := commands.AppendUntilKnown(t.Context(), store, "usage-x", commands.NoStream, nil)
		if took := time.Since(begun); !errors.Is(err, commands.ErrStoreUnavailable) || took > 0 || store.appends.Load() != 1 {
			t.Errorf("after %v and %d attempts: %v", took, store.appends.Load(), err)
		}
	})
}

// What was sent once is asked for again, although the store is known to be down in between.
func TestAppendOfUnknownOutcomeOutlastsAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newUsageFixture(t, 1000, domain.OverageContinue)
		store := &brokenStore{EventStore: f.store}
		store.append = func(context.Context) error {
			switch n := store.appends.Load(); {
			case n == 1:
				return commands.ErrStoreUnavailable
			case n < 6:
				return commands.ErrStoreDown
			}
			return nil
		}
		subscription := uuid.New()
		appended, err := commands.AppendUntilKnown(t.Context(), store, domain.SubscriptionStream(subscription), commands.NoStream,
			[]commands.Proposed{{ID: uuid.New(), Event: domain.SubscriptionStarted{SubscriptionID: subscription, CustomerID: uuid.New(), Plan: domain.PlanStarter, Limit: 1}}})
		if err != nil || appended.Position == 0 {
			t.Errorf("%+v, %v", appended, err)
		}
	})
}
