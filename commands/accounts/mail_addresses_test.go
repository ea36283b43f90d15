package accounts_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// dyingStore is the log of a process that dies before it writes to a category of streams.
type dyingStore struct {
	commands.EventStore
	before string
}

func (s dyingStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	if strings.HasPrefix(stream, s.before) {
		return commands.Appended{}, errors.New("the process dies")
	}
	return s.EventStore.Append(ctx, stream, expected, events)
}

// dieBefore runs commands in a process that dies before it writes to a category of streams.
func (f *fixture) dieBefore(category string, run func()) {
	f.t.Helper()
	alive := f.Commands
	f.over(dyingStore{f.store, category}, f.vault)
	run()
	f.Commands = alive
}

// claimOnly lets an activation die right behind the claim of its address.
func (f *fixture) claimOnly(token string) {
	f.t.Helper()
	f.dieBefore("account-", func() {
		_, err := f.activate(token, goodPassword)
		wantError(f.t, "activating", err, domain.ErrUnavailable)
	})
}

// takeAddress registers and activates another subscription with ada's address.
func (f *fixture) takeAddress(licence string) error {
	f.t.Helper()
	s := f.buy(licence)
	if _, err := f.register(s, ada); err != nil {
		return err
	}
	_, err := f.activate(f.link(s.CustomerID), goodPassword)
	return err
}

// However an activation was cut off, its claim does not keep the address from whoever can read its mails.
func TestClaimsThatAreLeftBehind(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fixture){
		"the registration is corrected": func(f *fixture) {
			other := ada
			other.Email = "grace@example.com"
			_, err := f.register(f.bought, other)
			wantError(f.t, "correcting", err, nil)
		},
		"the registration is corrected and activated": func(f *fixture) {
			other := ada
			other.Email = "grace@example.com"
			_, err := f.register(f.bought, other)
			wantError(f.t, "correcting", err, nil)
			_, err = f.activate(f.link(f.bought.CustomerID), goodPassword)
			wantError(f.t, "activating", err, nil)
		},
		"the link expires": func(f *fixture) { f.clock.Advance(domain.VerificationValidity) },
		"the person is erased": func(f *fixture) {
			err := f.ErasePersonalData(f.t.Context(), accounts.ErasePersonalData{By: byUser(), CustomerID: f.bought.CustomerID})
			wantError(f.t, "erasing", err, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			_, err := f.register(f.bought, ada)
			wantError(t, "registering", err, nil)
			f.claimOnly(f.link(f.bought.CustomerID))
			end(f)
			wantError(t, "the address for another subscription", f.takeAddress("l-second"), nil)
			if holder, err := f.AccountOfMail(t.Context(), ada.Email); err != nil || holder.CustomerID == f.bought.CustomerID || !holder.Active {
				t.Errorf("the address leads to %s, active: %t, %v", holder.CustomerID, holder.Active, err)
			}
		})
	}
}

// An address is taken from nobody who may still use it.
func TestClaimsThatHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.register(f.bought, ada)
	wantError(t, "registering", err, nil)
	f.claimOnly(f.link(f.bought.CustomerID))
	f.clock.Advance(domain.VerificationValidity - time.Second)
	wantError(t, "while the link is valid", f.takeAddress("l-second"), domain.ErrMailAddressTaken)
}

// Erasure frees every address that was ever claimed, so that the person can register again with any of them.
func TestErasureReleasesEveryClaim(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	account, err := f.Account(t.Context(), f.bought.CustomerID)
	wantError(t, "reading", err, nil)
	const former = "0123456789abcdef0123456789abcdef"
	// What an older program has left: a claim under an address that was corrected away.
	for stream, events := range map[string][]domain.Event{
		domain.MailAddressStream(former): {domain.MailAddressClaimed{CustomerID: f.bought.CustomerID}},
		domain.AccountStream(f.bought.CustomerID): {
			domain.RegistrationCorrected{CustomerID: f.bought.CustomerID, Person: account.Person, MailHash: former},
			domain.RegistrationCorrected{CustomerID: f.bought.CustomerID, Person: account.Person, MailHash: account.MailHash},
		},
	} {
		last, found, err := f.store.ReadLast(t.Context(), stream)
		wantError(t, "reading "+stream, err, nil)
		revision := commands.NoStream
		if found {
			revision = int64(last.Revision)
		}
		var proposed []commands.Proposed
		for _, event := range events {
			proposed = append(proposed, commands.Proposed{ID: uuid.New(), Event: event})
		}
		_, err = f.store.Append(t.Context(), stream, revision, proposed)
		wantError(t, "appending to "+stream, err, nil)
	}
	wantError(t, "erasing", f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byUser(), CustomerID: f.bought.CustomerID}), nil)
	for _, hash := range []string{former, account.MailHash} {
		address, err := commands.Read[domain.MailAddress](t.Context(), f.store, domain.MailAddressStream(hash))
		if err != nil || address.Owner != uuid.Nil {
			t.Errorf("%s belongs to %s, %v", hash, address.Owner, err)
		}
	}
}
