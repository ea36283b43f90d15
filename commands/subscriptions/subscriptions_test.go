package subscriptions_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// hiddenReads is beyond the number of times that a command decides again.
const hiddenReads = 15

func on(store commands.EventStore) subscriptions.Commands {
	return subscriptions.Commands{Executor: commands.Executor{Store: store, Now: time.Now}}
}

// start starts the subscription of one licence.
func start(ctx context.Context, store commands.EventStore) (commands.Result[domain.Subscription], error) {
	return on(store).StartSubscription(ctx, subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: testLicence},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
}

// follow takes a message of AWS.
func follow(ctx context.Context, store commands.EventStore) error {
	sync, err := subscriptions.NewEntitlementSync(subscriptions.EntitlementSyncConfig{
		Executor: on(store).Executor, Catalogue: domain.DefaultCatalogue(), Log: slog.New(slog.DiscardHandler),
		Source: unusedMarketplace{}, Directory: unusedDirectory{}, Gaps: &rememberedGaps{}, Barrier: &commandstest.Barrier{},
	})
	if err != nil {
		return err
	}
	return sync.FollowMarketplaceEvent(ctx, subscriptions.FollowMarketplaceEvent{
		By: commands.NewOrigin(domain.ActorMarketplace),
		MarketplaceEvent: domain.MarketplaceEvent{
			Kind: domain.NothingChanged, Message: domain.MarketplaceNotified{NotificationID: "n-1", LicenseID: "l-synced", HappenedAt: time.Now()},
		},
	})
}

type unusedMarketplace struct {
	subscriptions.EntitlementSource
}

type unusedDirectory struct {
	subscriptions.SubscriptionDirectory
}

// overtaken returns a store on which another node does the same right before the first append, and whose reads do not show
// it at once.
func overtaken(t *testing.T, log commands.EventStore, hidden int, namesRevision bool, same func(context.Context, commands.EventStore) error) commands.EventStore {
	var once sync.Once
	return eventstoretest.LateWinner(&commandstest.HookedStore{EventStore: log, BeforeAppend: func(string) {
		once.Do(func() {
			if err := same(t.Context(), log); err != nil {
				t.Error(err)
			}
		})
	}}, hidden, namesRevision)
}

func startAlone(ctx context.Context, store commands.EventStore) error {
	_, err := start(ctx, store)
	return err
}

func TestConflictBeforeItsWinnerCanBeRead(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]struct {
		run    func(context.Context, commands.EventStore) error
		stream string
	}{
		"start":          {startAlone, domain.SubscriptionStream(domain.SubscriptionIDForLicence(testLicence))},
		"message of AWS": {follow, domain.NotificationStream("l-synced")},
	} {
		for how, namesRevision := range map[string]bool{"the conflict says the revision": true, "the conflict says nothing": false} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				log := memorystore.New(time.Now)
				if err := command.run(t.Context(), overtaken(t, log, hiddenReads, namesRevision, command.run)); err != nil {
					t.Errorf("the loser gets %v", err)
				}
				if got := commandstest.Types(t, log, command.stream); len(got) != 1 {
					t.Errorf("the stream holds %v, want one event", got)
				}
			})
		}
	}
}

// TestWinnerThatStaysUnreadable ends with the caller's context, and says that the service is at fault.
func TestWinnerThatStaysUnreadable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := start(ctx, overtaken(t, memorystore.New(time.Now), 1<<30, true, startAlone)); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a winner that cannot be read gives %v", err)
	}
}

// TestSwitchHoldsOnEveryNodeWhenItIsAnswered: by then no node acts any more on what was before.
func TestSwitchHoldsOnEveryNodeWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := memorystore.New(time.Now)
		started, err := start(t.Context(), log)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		switched, err := on(log).SwitchOverage(t.Context(), subscriptions.SwitchOverage{
			By: commands.NewOrigin(domain.ActorUser), SubscriptionID: started.State.ID, To: domain.OverageStop,
		})
		if err != nil || switched.State.Overage != domain.OverageStop {
			t.Fatalf("%+v, %v", switched, err)
		}
		if took := time.Since(began); took < commands.MaxStaleness {
			t.Errorf("answered after %s, before nodes have stopped acting on what was", took)
		}
	})
}
