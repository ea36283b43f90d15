package store_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// While a commit is held, who lost knows it and the winner cannot be read; afterwards it can, and has its answer.
func TestConflictIsAnsweredBeforeItsWinnerCanBeRead(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{HoldCommit: func(bool) <-chan struct{} { return release }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })

	type outcome struct {
		result store.Result
		err    error
	}
	outcomes := make(chan outcome, 2)
	for range 2 {
		go func() {
			result, err := s.Append(t.Context(), store.Write{Stream: "s", Expected: store.ExpectNoStream, Events: []store.NewEvent{{ID: uuid.New(), Type: "T"}}})
			outcomes <- outcome{result, err}
		}()
	}
	lost := <-outcomes
	var wrong *store.WrongExpectedError
	if !errors.As(lost.err, &wrong) || wrong.Current != 0 {
		t.Fatalf("the first answer is %v, %v, want a conflict with revision 0", lost.result, lost.err)
	}
	if page, err := s.ReadStream(t.Context(), "s", store.Forwards, 0, 1); !errors.Is(err, store.ErrStreamNotFound) {
		t.Errorf("the winner can be read while its commit is held: %v, %v", page.Events, err)
	}
	close(release)
	if won := <-outcomes; won.err != nil || won.result.Revision != 0 {
		t.Errorf("the winner was answered %v, %v", won.result, won.err)
	}
	if _, err := s.ReadStream(t.Context(), "s", store.Forwards, 0, 1); err != nil {
		t.Errorf("after the commit: %v", err)
	}
}
