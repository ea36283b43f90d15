package commands_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// directory knows any key by one owner, or none, and counts how often it is asked.
type directory struct {
	owner commands.KeyOwner
	found bool
	asked int
}

func (d *directory) FindKey(context.Context, string) (commands.KeyOwner, bool, error) {
	d.asked++
	return d.owner, d.found, nil
}

func TestAKeyIsBelievedForMaxStaleness(t *testing.T) {
	t.Parallel()
	const key = domain.KeyPrefix + "0123456789abcdefghijABCDEFGHI"
	clock := newTestClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	keys := &directory{owner: commands.KeyOwner{CustomerID: uuid.New()}}
	authenticator := commands.NewKeyAuthenticator(keys, make([]byte, 32), clock.Now)
	want := func(asked int, refusal error) {
		t.Helper()
		owner, err := authenticator.AuthenticateKey(context.Background(), key)
		if !errors.Is(err, refusal) || err == nil && owner != keys.owner {
			t.Errorf("%+v, %v, want %v", owner, err, refusal)
		}
		if keys.asked != asked {
			t.Errorf("asked %d times, want %d", keys.asked, asked)
		}
	}
	want(1, domain.ErrInvalidAPIKey)
	keys.found = true // issued: it works at once
	want(2, nil)
	keys.found = false // regenerated
	clock.advance(commands.MaxStaleness - 1)
	want(2, nil)
	clock.advance(1)
	want(3, domain.ErrInvalidAPIKey)
	want(4, domain.ErrInvalidAPIKey)
}

func TestWhatHoldsOnEveryNodeOutlastsStaleness(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*desk) error{
		"RegenerateKey": func(d *desk) error {
			_, err := d.RegenerateKey(d.t.Context(), commands.RegenerateKey{
				By: commands.NewOrigin(domain.ActorUser), CustomerID: d.bought.CustomerID, SubscriptionID: d.bought.ID, Slot: domain.SlotPrimary,
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.activated()
				began := time.Now()
				if err := change(d); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < commands.MaxStaleness {
					t.Errorf("answered after %s, before nodes have stopped acting on what was", took)
				}
			})
		})
	}
}
