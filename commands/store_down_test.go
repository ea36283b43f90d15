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
		if took := time.Since(begun); !errors.Is(err, commands.ErrStoreUnavailable) || errors.Is(err, commands.ErrOutcomeUnknown) || took > 0 || store.Appends.Load() != 1 {
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

// An append that ended with its context, or that was refused after one that got no answer, may have been written; one that
// conflicts is not, for the store knows a repetition again.
func TestWhetherTheOutcomeOfAnAppendIsKnown(t *testing.T) {
	t.Parallel()
	refused := errors.New("no space left")
	for name, test := range map[string]struct {
		answers []error
		unknown bool
	}{
		"refused":                        {[]error{refused}, false},
		"conflict":                       {[]error{commands.ErrConflict}, false},
		"over":                           {[]error{context.DeadlineExceeded}, true},
		"left":                           {[]error{context.Canceled}, true},
		"no answer, then refused":        {[]error{commands.ErrStoreUnavailable, refused}, true},
		"no answer, then a conflict":     {[]error{commands.ErrStoreUnavailable, commands.ErrConflict}, false},
		"no answer, then known as down":  {[]error{commands.ErrStoreUnavailable, commands.ErrStoreDown}, true},
		"known as down":                  {[]error{commands.ErrStoreDown}, false},
		"no answer, then known to be up": {[]error{commands.ErrStoreUnavailable, nil}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &commandstest.BrokenStore{EventStore: memorystore.New(time.Now)}
				store.Fail = func(context.Context) error { return test.answers[min(int(store.Appends.Load()), len(test.answers))-1] }
				_, err := commands.AppendUntilKnown(t.Context(), store, stream, commands.NoStream, []commands.Proposed{{ID: uuid.New(), Event: ping()}})
				last := test.answers[len(test.answers)-1]
				if errors.Is(err, commands.ErrOutcomeUnknown) != test.unknown || !errors.Is(err, last) {
					t.Errorf("%v, want its outcome to be unknown: %t", err, test.unknown)
				}
			})
		})
	}
}
