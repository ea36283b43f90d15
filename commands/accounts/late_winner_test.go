package accounts_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/domain"
)

// race is two nodes that run the same command: the rival's append comes right before the node's own, and cannot be read
// for a while after it has won.
type race struct {
	*fixture
	node  *accounts.Commands // on a store whose winners come late
	rival func()             // runs once, right before the node's first append
}

// hiddenReads is beyond the number of times that a command decides again.
const hiddenReads = 15

func newRace(t *testing.T, namesRevision bool) *race {
	t.Helper()
	r := &race{fixture: newFixture(t)}
	var once sync.Once
	store := eventstoretest.LateWinner(&commandstest.HookedStore{EventStore: r.fixture.store, BeforeAppend: func(string) {
		if r.rival != nil {
			once.Do(r.rival)
		}
	}}, hiddenReads, namesRevision)
	var err error
	r.node, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: store, Now: r.clock.Now}, Vault: r.vault, Barrier: r.barrier,
		Keyring: r.ring, Log: slog.New(slog.DiscardHandler), PasswordCost: commandstest.CheapPasswords,
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
	for _, family := range []struct {
		name    string
		prepare func(r *race)
		run     func(r *race, app *accounts.Commands) error
		refused error
		stream  func(r *race) string
		want    int // events in the stream
	}{
		{
			name: "account",
			run: func(r *race, app *accounts.Commands) error {
				_, err := app.RegisterAccount(r.t.Context(), accounts.RegisterAccount{By: byBuyer(), SubscriptionID: r.bought.ID, Person: ada})
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
			run: func(r *race, app *accounts.Commands) error {
				_, err := app.ActivateAccount(r.t.Context(), accounts.ActivateAccount{By: byBuyer(), Token: r.link(r.bought.CustomerID), Password: goodPassword})
				return err
			},
			refused: domain.ErrLinkUsed,
			stream:  func(r *race) string { return domain.AccountStream(r.bought.CustomerID) }, want: 5,
		},
		{
			name:    "login",
			prepare: func(r *race) { r.activated() },
			run: func(r *race, app *accounts.Commands) error {
				user, err := app.LogIn(r.t.Context(), accounts.LogIn{By: byBuyer(), Email: ada.Email, Password: goodPassword})
				if err == nil {
					err = app.ConfirmLogin(r.t.Context(), accounts.ConfirmLogin{By: byBuyer(), User: user})
				}
				return err
			},
			stream: func(r *race) string { return domain.LoginsStream(r.bought.CustomerID) }, want: 2,
		},
		{
			name:    "keys",
			prepare: func(r *race) { r.activated() },
			run: func(r *race, app *accounts.Commands) error {
				_, err := app.RegenerateKey(r.t.Context(), accounts.RegenerateKey{
					By: byBuyer(), CustomerID: r.bought.CustomerID, SubscriptionID: r.bought.ID, Slot: domain.SlotPrimary,
				})
				return err
			},
			stream: func(r *race) string { return domain.APIKeysStream(r.bought.CustomerID) }, want: 4,
		},
	} {
		for how, namesRevision := range map[string]bool{"the conflict says the revision": true, "the conflict says nothing": false} {
			t.Run(family.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				r := newRace(t, namesRevision)
				if family.prepare != nil {
					family.prepare(r)
				}
				var raced error
				r.rival = func() { raced = family.run(r, r.Commands) }
				if err := family.run(r, r.node); !errors.Is(err, family.refused) {
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
