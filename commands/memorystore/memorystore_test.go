package memorystore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

func TestStore(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(*testing.T) commands.EventStore { return memorystore.New(time.Now) })
}

func TestStoreForgets(t *testing.T) {
	t.Parallel()
	eventstoretest.RunForgetting(t, func(_ *testing.T, now func() time.Time) commands.EventStore { return memorystore.New(now) })
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault   memorystore.Fault
		err     error
		written int
	}{
		"none":               {memorystore.None, nil, 1},
		"conflict":           {memorystore.Conflict, commands.ErrConflict, 0},
		"unavailable before": {memorystore.UnavailableBefore, commands.ErrStoreUnavailable, 0},
		"unavailable after":  {memorystore.UnavailableAfter, commands.ErrStoreUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, store, stream := context.Background(), memorystore.New(time.Now), "account-"+uuid.NewString()
			store.Inject(func(memorystore.Operation) memorystore.Fault { return test.fault })
			proposed := []commands.Proposed{{ID: uuid.New(), Event: domain.EmailVerified{CustomerID: uuid.New()}}}

			_, err := store.Append(ctx, stream, commands.NoStream, proposed)
			if !errors.Is(err, test.err) {
				t.Errorf("append: %v, want %v", err, test.err)
			}
			store.Inject(nil)
			if all, err := store.All(); err != nil || len(all) != test.written {
				t.Errorf("log holds %d events (%v), want %d", len(all), err, test.written)
			}
			if _, err := store.Append(ctx, stream, commands.NoStream, proposed); err != nil {
				t.Errorf("repeated append: %v, want none", err)
			}
		})
	}
}
