package commands_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/domain"
)

// race is two nodes that run the same command: the rival's append comes right before the node's own, and cannot be read
// for a while after it has won.
type race struct {
	*desk
	node  *commands.Application // on a store whose winners come late
	store commands.EventStore   // the node's
	rival func()                // runs once, right before the node's first append
}

// hiddenReads is beyond the number of times that a command decides again.
const hiddenReads = 15

func newRace(t *testing.T, tellRevision bool) *race {
	t.Helper()
	r := &race{desk: newDesk(t)}
	var once sync.Once
	r.store = eventstoretest.LateWinner(&hooked{EventStore: r.desk.store, beforeAppend: func(string) {
		if r.rival != nil {
			once.Do(r.rival)
		}
	}}, hiddenReads, tellRevision)
	var err error
	r.node, err = commands.New(commands.Config{
		Store: r.store, Vault: r.vault, Barrier: r.barrier, Catalogue: domain.DefaultCatalogue(),
		Secret: []byte(strings.Repeat("s", 32)), Now: r.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestConflictBeforeItsWinnerCanBeRead lets every family of commands lose to a rival whose event cannot be read at once.
func TestConflictBeforeItsWinnerCanBeRead(t *testing.T) {
	t.Parallel()
	byBuyer := func() commands.Origin { return commands.NewOrigin(domain.ActorBuyer) }
	starts := func(r *race, app *commands.Application) error {
		_, err := app.StartSubscription(r.t.Context(), commands.StartSubscription{
			By: byBuyer(), Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "l-second"},
			Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
		})
		return err
	}
	for _, family := range []struct {
		name    string
		prepare func(r *race)
		run     func(r *race, app *commands.Application, store commands.EventStore) error
		refused error
		stream  func(r *race) string
		want    int // events in the stream
	}{
		{
			name:   "subscription",
			run:    func(r *race, app *commands.Application, _ commands.EventStore) error { return starts(r, app) },
			stream: func(*race) string { return domain.SubscriptionStream(domain.SubscriptionIDForLicense("l-second")) }, want: 1,
		},
		{
			name: "account",
			run: func(r *race, app *commands.Application, _ commands.EventStore) error {
				_, err := app.RegisterAccount(r.t.Context(), commands.RegisterAccount{By: byBuyer(), SubscriptionID: r.bought.ID, Person: ada})
				return err
			},
			stream: func(r *race) string { return domain.AccountStream(r.bought.CustomerID) }, want: 4,
		},
		{
			name: "activation",
			prepare: func(r *race) {
				if _, err := r.register(r.bought, ada); err != nil {
					r.t.Fatal(err)
				}
			},
			run: func(r *race, app *commands.Application, _ commands.EventStore) error {
				_, err := app.ActivateAccount(r.t.Context(), commands.ActivateAccount{By: byBuyer(), Token: r.link(r.bought.CustomerID), Password: goodPassword})
				return err
			},
			refused: domain.ErrLinkUsed,
			stream:  func(r *race) string { return domain.AccountStream(r.bought.CustomerID) }, want: 5,
		},
		{
			name:    "login",
			prepare: func(r *race) { r.activated() },
			run: func(r *race, app *commands.Application, _ commands.EventStore) error {
				_, err := app.LogIn(r.t.Context(), commands.LogIn{By: byBuyer(), Email: ada.Email, Password: goodPassword})
				return err
			},
			stream: func(r *race) string { return domain.LoginsStream(r.bought.CustomerID) }, want: 2,
		},
		{
			name:    "keys",
			prepare: func(r *race) { r.activated() },
			run: func(r *race, app *commands.Application, _ commands.EventStore) error {
				_, err := app.RegenerateKey(r.t.Context(), commands.RegenerateKey{
					By: byBuyer(), CustomerID: r.bought.CustomerID, SubscriptionID: r.bought.ID, Slot: domain.SlotPrimary,
				})
				return err
			},
			stream: func(r *race) string { return domain.APIKeysStream(r.bought.CustomerID) }, want: 4,
		},
		{
			name: "message of AWS",
			run: func(r *race, app *commands.Application, _ commands.EventStore) error {
				return commands.NewAgreementDesk(app, nil, nil, "", nil).FollowMarketplaceEvent(r.t.Context(), commands.FollowMarketplaceEvent{
					By: byBuyer(), Message: domain.MarketplaceNotified{NotificationID: "n-1", LicenseID: "l-first", HappenedAt: r.clock.Now()},
				})
			},
			stream: func(*race) string { return domain.NotificationStream("l-first") }, want: 1,
		},
		{
			name: "counting",
			run: func(r *race, _ *commands.Application, store commands.EventStore) error {
				counter := commands.NewUsageCounter(store, &logIndex{store: r.desk.store}, r.clock.Now, slog.New(slog.DiscardHandler))
				defer counter.Close()
				ticket, err := counter.Begin(r.t.Context(), commands.KeyOwner{SubscriptionID: r.bought.ID, CustomerID: r.bought.CustomerID}, "")
				if err != nil {
					return err
				}
				defer ticket.Release()
				_, err = count(ticket, 0)
				return err
			},
			stream: func(r *race) string { return domain.UsageStream(r.bought.ID, november) }, want: 2,
		},
	} {
		for how, tellRevision := range map[string]bool{"the conflict says the revision": true, "the conflict says nothing": false} {
			t.Run(family.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				r := newRace(t, tellRevision)
				if family.prepare != nil {
					family.prepare(r)
				}
				var raced error
				r.rival = func() { raced = family.run(r, r.Application, r.desk.store) }
				if err := family.run(r, r.node, r.store); !errors.Is(err, family.refused) {
					t.Errorf("the loser gets %v, want %v", err, family.refused)
				}
				if raced != nil {
					t.Errorf("the rival gets %v", raced)
				}
				if got := r.types(family.stream(r)); len(got) != family.want {
					t.Errorf("the stream holds %v, want %d events", got, family.want)
				}
			})
		}
	}
}

// TestWinnerThatStaysUnreadable ends with the caller's context, and says that the service is at fault.
func TestWinnerThatStaysUnreadable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	store := eventstoretest.LateWinner(d.store, 1<<30, true)
	loser, err := commands.New(commands.Config{
		Store: &hooked{EventStore: store, beforeAppend: func(string) { d.buy("l-second") }},
		Vault: d.vault, Barrier: d.barrier, Catalogue: domain.DefaultCatalogue(),
		Secret: []byte(strings.Repeat("s", 32)), Now: d.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = loser.StartSubscription(ctx, commands.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "l-second"},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	wantError(t, "a winner that cannot be read", err, domain.ErrUnavailable)
}
