package readmodels_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/readmodels"
	"github.com/pas-ta/liveness/domain"
)

func TestSkipEvent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	log := memorystore.New(clock)
	skip := func(readModel, why string, event uuid.UUID) (domain.ProjectionSkips, error) {
		return readmodels.SkipEvent(t.Context(), commands.Executor{Store: log, Now: clock}, readmodels.Skip{
			By: commands.NewOrigin(domain.ActorOperator), Skip: domain.ProjectionSkipped{ReadModel: readModel, EventID: event, Why: why},
		})
	}
	first, second := uuid.New(), uuid.New()
	if _, err := skip("usage", "", first); !errors.Is(err, domain.ErrInvalidRequest) {
		t.Errorf("without a reason: %v", err)
	}
	for _, event := range []uuid.UUID{first, first, second} {
		if skips, err := skip("usage", "ticket 42", event); err != nil || !skips.Events[event].SkippedAt.Equal(now) {
			t.Errorf("%+v, %v", skips, err)
		}
	}
	if skips, err := skip("accounts", "ticket 43", first); err != nil || len(skips.Events) != 1 {
		t.Errorf("another read model goes past %+v, %v", skips, err)
	}
	if got := commandstest.Types(t, log, domain.ProjectionStream("usage")); len(got) != 2 {
		t.Errorf("the stream holds %v", got)
	}
}
