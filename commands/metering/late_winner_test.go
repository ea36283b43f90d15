package metering_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

// lastHour is a read model that names one subscription's last hour.
type lastHour struct {
	metering.ReadModel
	ended  []metering.EndedSubscription
	sealed []domain.SealedUsage
}

func (h *lastHour) Ended(context.Context) ([]metering.EndedSubscription, error) { return h.ended, nil }

func (h *lastHour) Sealed(context.Context, domain.SealedUsage, int) ([]domain.SealedUsage, error) {
	sealed := h.sealed
	h.sealed = nil
	return sealed, nil
}

type unusedMeter struct{ metering.UsageMeter }

// hiddenReads is beyond the number of times that a command decides again.
const hiddenReads = 15

// TestConflictBeforeItsWinnerCanBeRead lets commands lose to a rival whose event cannot be read at once.
func TestConflictBeforeItsWinnerCanBeRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	hour := domain.UsageHour(now.Add(-2 * time.Hour))
	subscription := uuid.New()
	for name, command := range map[string]struct {
		run    func(context.Context, *metering.ProcessManager) error
		stream string
	}{
		"sealing hours": {
			func(ctx context.Context, m *metering.ProcessManager) error { return m.SealHours(ctx) },
			domain.SealedHoursStream(domain.MonthOf(now)),
		},
		"sealing an end": {
			func(ctx context.Context, m *metering.ProcessManager) error {
				_, err := m.SealEndedUsage(ctx)
				return err
			},
			domain.UsageEndStream(subscription),
		},
		"preparing a usage record": {
			func(ctx context.Context, m *metering.ProcessManager) error { return m.PrepareUsageRecords(ctx) },
			domain.MeteringStream(subscription, hour, "starter_over"),
		},
	} {
		for how, namesRevision := range map[string]bool{"the conflict says the revision": true, "the conflict says nothing": false} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				log := memorystore.New(func() time.Time { return now })
				_, err := log.Append(t.Context(), domain.SubscriptionStream(subscription), commands.NoStream, []commands.Proposed{
					{ID: uuid.New(), Event: domain.SubscriptionStarted{SubscriptionID: subscription, CustomerID: uuid.New(), Plan: domain.PlanStarter, Limit: 1000}},
					{ID: uuid.New(), Event: domain.SubscriptionEnded{SubscriptionID: subscription, EndedAt: now}},
				})
				if err != nil {
					t.Fatal(err)
				}
				node := func(store commands.EventStore) *metering.ProcessManager {
					manager, err := metering.NewProcessManager(metering.Config{
						Executor: commands.Executor{Store: store, Now: func() time.Time { return now }}, Barrier: &commandstest.Barrier{},
						Catalogue: domain.DefaultCatalogue(), Log: slog.New(slog.DiscardHandler), Region: "us-east-1", Meter: unusedMeter{},
						Model: &lastHour{
							ended:  []metering.EndedSubscription{{ID: subscription, RecordedAt: hour}},
							sealed: []domain.SealedUsage{{SubscriptionID: subscription, Hour: hour, Plan: domain.PlanStarter, Counted: 3}},
						},
					})
					if err != nil {
						t.Fatal(err)
					}
					return manager
				}
				var once sync.Once
				var raced error
				store := eventstoretest.LateWinner(&commandstest.HookedStore{EventStore: log, BeforeAppend: func(string) {
					once.Do(func() { raced = command.run(t.Context(), node(log)) })
				}}, hiddenReads, namesRevision)
				if err := command.run(t.Context(), node(store)); err != nil || raced != nil {
					t.Errorf("the loser gets %v, the rival %v", err, raced)
				}
				if got := commandstest.Types(t, log, command.stream); len(got) != 1 {
					t.Errorf("the stream holds %v, want one event", got)
				}
			})
		}
	}
}
