package domain_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

type foldable[S any] interface {
	Fold(event domain.Event) S
}

// scenario is one rule of an aggregate: given what has happened, when something is wanted, then exactly these events
// are recorded, or exactly this refusal is given.
type scenario[S foldable[S]] struct {
	name    string
	given   []domain.Event
	when    func(S) ([]domain.Event, error)
	then    []domain.Event
	refused error
}

func play[S foldable[S]](t *testing.T, scenarios []scenario[S]) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var state S
			for _, event := range s.given {
				state = state.Fold(event)
			}
			got, err := s.when(state)
			if !errors.Is(err, s.refused) {
				t.Fatalf("refusal: got %v, want %v", err, s.refused)
			}
			if diff := cmp.Diff(s.then, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// recorded makes a decision that cannot refuse one that could.
func recorded[S any](decide func(S) []domain.Event) func(S) ([]domain.Event, error) {
	return func(s S) ([]domain.Event, error) { return decide(s), nil }
}
