package commands_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// While the store is known to be down nothing is repeated, and the caller is told at once.
func TestAppendToAStoreKnownToBeDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &commandstest.BrokenStore{
			EventStore: memorystore.New(time.Now), Fail: func(context.Context) error { return commands.ErrStoreDown },
		}
		begun := time.Now()
		_, err := commands.AppendUntilKnown(t.Context(), store, "usage-x", commands.NoStream, nil)
		if took := time.Since(begun); !errors.Is(err, commands.ErrStoreUnavailable) || took > 0 || store.Appends.Load() != 1 {
			t.Errorf("after %v and %d attempts: %v", took, store.Appends.Load(), err)
		}
	})
}

// What was sent once is asked for again, although the store is known to be down in between.
func TestAppendOfUnknownOutcomeOutlastsAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &commandstest.BrokenStore{EventStore: memorystore.New(time.Now)}
		store.Fail = func(context.Context) error {
			switch n := store.Appends.Load(); {
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
