package metering_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

func TestCreditUsage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id, month := f.subscription(0), domain.MonthOf(hour)
	credit := func(subscription uuid.UUID, of domain.Month, calls int64) (commands.Result[domain.UsageCredits], error) {
		return metering.CreditUsage(t.Context(), f.config.Executor, metering.Credit{
			By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: subscription, Month: of, Calls: calls, Why: "ticket 42",
		})
	}
	refused := func(what string, subscription uuid.UUID, of domain.Month, calls int64, want error) {
		t.Helper()
		if done, err := credit(subscription, of, calls); !errors.Is(err, want) || done.Position != 0 {
			t.Errorf("%s: %+v, %v; want %v", what, done, err, want)
		}
	}
	refused("before anything was counted", id, month, 1, domain.ErrInvalidRequest)
	f.record(domain.UsageStream(id, month), domain.CheckCompleted{SubscriptionID: id, Month: month, IncludedTotal: 1000, OverageTotal: 5})
	if done, err := credit(id, month, 2); err != nil || done.State.Total != 2 || done.Position == 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err := credit(id, month, 3); err != nil || done.State.Total != 5 {
		t.Errorf("the rest: %+v, %v", done, err)
	}
	refused("more than was counted", id, month, 1, domain.ErrInvalidRequest)
	refused("another month", id, month.Previous(), 1, domain.ErrInvalidRequest)
	refused("nobody", uuid.New(), month, 1, &domain.Error{Code: "unknown_subscription"})
	if diff := cmp.Diff([]string{"UsageCredited", "UsageCredited"}, commandstest.Types(t, f.log, domain.UsageCreditsStream(id, month))); diff != "" {
		t.Error(diff)
	}
	for _, kind := range []memorystore.Kind{memorystore.Read, memorystore.ReadLast} {
		f.log.Inject(func(operation memorystore.Operation) memorystore.Fault {
			if operation.Kind == kind {
				return memorystore.UnavailableBefore
			}
			return memorystore.None
		})
		refused("a log that cannot be read: "+string(kind), id, month, 1, domain.ErrUnavailable)
	}
}

// A record reports less by what a credit takes off.
func TestACreditedHourIsReportedLess(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(5)
	f.usage[0].Credited = 2
	f.step(f.manager())
	f.wants(id, "UsageRecordPrepared", "UsageRecordAttempted", "UsageRecordAccepted")
	if len(f.calls) != 1 || f.calls[0][0].Quantity != 3 {
		t.Errorf("reported: %+v, want 3", f.calls)
	}
}
