package store_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Who reads the end of the log never finds an event there that readers who follow the log are not given yet.
func TestEndOfTheLogIsWhereFollowersAre(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var writing sync.WaitGroup
	defer writing.Wait()
	done := make(chan struct{})
	writing.Go(func() {
		defer close(done)
		for range 300 {
			if _, err := s.Append(t.Context(), store.Write{Stream: "s", Expected: store.ExpectAny, Events: []store.NewEvent{{ID: uuid.New(), Type: "T"}}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for {
		last, err := s.ReadAll(t.Context(), store.Backwards, store.End, 1)
		if err != nil {
			t.Fatal(err)
		}
		if head := s.Head(); len(last.Events) > 0 && last.Events[0].Position > head {
			t.Fatalf("the log is read up to %d, and followers up to %d", last.Events[0].Position, head)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
