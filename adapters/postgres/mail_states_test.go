package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
)

// statesOf are the states of a mail service whose answers a test sets.
func statesOf(t *testing.T) (*postgres.MailStates, *countingMailer) {
	t.Helper()
	pool, log := pgtest.Pool(t), slog.New(slog.DiscardHandler)
	box := &countingMailer{sent: map[uuid.UUID]int{}}
	return postgres.NewMailStates(pool, postgres.NewSentMails(pool, box, log), log), box
}

func mailOf(kind string) accounts.Mail {
	id := uuid.New()
	return accounts.Mail{ID: id, Kind: kind, CustomerID: uuid.New(), Recipient: id.String(), Source: accounts.MailSource{EventID: id, Stream: "account-1", Revision: 7}, To: "ada@example.com"}
}

func stateOf(t *testing.T, states *postgres.MailStates, mail accounts.Mail) postgres.MailRecord {
	t.Helper()
	record, found, err := states.Find(t.Context(), mail.ID)
	if err != nil || !found {
		t.Fatalf("found %t, %v", found, err)
	}
	return record
}

var errRelay = errors.New("relay access denied")

// Whatever becomes of a mail is kept, without the address.
func TestWhatBecomesOfAMailIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  error
		state   postgres.MailState
		service bool // it is the delivery service that does not work
	}{
		"taken":    {nil, postgres.MailSent, false},
		"refused":  {&accounts.UndeliverableError{Cause: accounts.CauseNoMailbox, Answer: "550 5.1.1"}, postgres.MailFailed, false},
		"deferred": {fmt.Errorf("greylisted: %w", accounts.ErrDeferred), postgres.MailWaiting, false},
		"no relay": {errRelay, postgres.MailWaiting, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			states, box := statesOf(t)
			mail := mailOf(accounts.MailKindVerification)
			box.refusal = c.answer
			for range 2 {
				if err := states.Send(t.Context(), mail); !errors.Is(err, c.answer) {
					t.Errorf("got %v, want %v", err, c.answer)
				}
			}
			got := stateOf(t, states, mail)
			if got.State != c.state || got.Attempts != 2 || got.Kind != mail.Kind || *got.Customer != mail.CustomerID || got.Revision != 7 || got.Stream != "account-1" {
				t.Errorf("%+v", got)
			}
			if (got.Problem != "") != (c.answer != nil) || strings.Contains(got.Problem, "ada") {
				t.Errorf("problem %q", got.Problem)
			}
			if err := states.CheckService(t.Context()); (err != nil) != c.service {
				t.Errorf("service: %v", err)
			}
			delivery, err := states.Delivery(t.Context(), mail.Source.EventID)
			if err != nil || !delivery.Known || delivery.Sent != (c.answer == nil) || (delivery.Refused != nil) != (c.state == postgres.MailFailed) {
				t.Errorf("delivery %+v, %v", delivery, err)
			}
			newest, err := states.DeliveryTo(t.Context(), mail.Recipient)
			if decided := c.state != postgres.MailWaiting; err != nil || newest.Known != decided || decided && newest.Sent != delivery.Sent {
				t.Errorf("newest %+v, %v", newest, err)
			}
			if delivery.Refused != nil && (delivery.Refused.Cause != accounts.CauseNoMailbox || delivery.Refused.Answer != "550 5.1.1") {
				t.Errorf("refused: %+v", delivery.Refused)
			}
		})
	}
}

// A service that takes a mail works again.
func TestServiceWorksAgain(t *testing.T) {
	t.Parallel()
	states, box := statesOf(t)
	box.refusal = errRelay
	stuck := mailOf("verification")
	if err := states.Send(t.Context(), stuck); !errors.Is(err, errRelay) {
		t.Fatal(err)
	}
	if err := states.CheckService(t.Context()); err == nil || err.Error() != errRelay.Error() {
		t.Errorf("service: %v", err)
	}
	box.refusal = nil
	if err := states.Send(t.Context(), mailOf("verification")); err != nil {
		t.Fatal(err)
	}
	if err := states.CheckService(t.Context()); err != nil {
		t.Errorf("service: %v", err)
	}
	counts, err := states.Counts(t.Context())
	if err != nil || len(counts) != 2 || counts[0].State != postgres.MailSent || counts[0].Count != 1 || counts[1].State != postgres.MailWaiting || counts[1].Oldest < 0 {
		t.Errorf("counts %+v, %v", counts, err)
	}
}

// A mail that is being tried when the program stops goes on waiting, with nothing said against it.
func TestStoppingSaysNothingAboutAMail(t *testing.T) {
	t.Parallel()
	states, box := statesOf(t)
	mail := mailOf("verification")
	ctx, cancel := context.WithCancel(t.Context())
	box.refusal = context.Canceled
	box.before = cancel
	if err := states.Send(ctx, mail); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got := stateOf(t, states, mail); got.State != postgres.MailWaiting || got.Problem != "" {
		t.Errorf("%+v", got)
	}
}

// What an operator drops is never sent, and counts as dealt with.
func TestDroppedMailsAreNotSent(t *testing.T) {
	t.Parallel()
	states, box := statesOf(t)
	mail := mailOf("verification")
	box.refusal = errRelay
	_ = states.Send(t.Context(), mail)
	if dropped, err := states.Drop(t.Context(), mail.ID, "told by telephone", "operator"); err != nil || !dropped {
		t.Fatalf("dropped %t, %v", dropped, err)
	}
	box.refusal = nil
	if err := states.Send(t.Context(), mail); err != nil || len(box.sent) != 0 {
		t.Errorf("sent %v, %v", box.sent, err)
	}
	if got := stateOf(t, states, mail); got.State != postgres.MailDropped || got.Why != "told by telephone" || got.DecidedBy != "operator" {
		t.Errorf("%+v", got)
	}
	for name, id := range map[string]uuid.UUID{"dropped": mail.ID, "unknown": uuid.New()} {
		if dropped, err := states.Drop(t.Context(), id, "again", "operator"); err != nil || dropped {
			t.Errorf("%s: dropped %t, %v", name, dropped, err)
		}
	}
}

// A replay of some leaves others parked; a later one of all takes them.
func TestReplayOfSomeLeavesOthersParked(t *testing.T) {
	t.Parallel()
	states, box := statesOf(t)
	chosen, other := mailOf("verification"), mailOf("verification")
	box.refusal = &accounts.UndeliverableError{Cause: accounts.CauseFull}
	for _, mail := range []accounts.Mail{chosen, other} {
		_ = states.Send(t.Context(), mail)
	}
	box.refusal = nil
	if err := states.HoldOthers(t.Context(), []uuid.UUID{chosen.ID}); err != nil {
		t.Fatal(err)
	}
	if err := states.Send(t.Context(), other); !accounts.Undeliverable(err) {
		t.Errorf("the other: %v", err)
	}
	if err := states.Send(t.Context(), chosen); err != nil {
		t.Error(err)
	}
	if a, b := stateOf(t, states, chosen), stateOf(t, states, other); a.State != postgres.MailSent || b.State != postgres.MailFailed || box.sent[other.ID] != 0 {
		t.Errorf("%s, %s", a.State, b.State)
	}
	if err := states.HoldOthers(t.Context(), []uuid.UUID{other.ID}); err != nil {
		t.Fatal(err)
	}
	if err := states.Send(t.Context(), other); err != nil {
		t.Error(err)
	}
}

// What came back stays so, whatever is delivered again; it is never sent a second time.
func TestReturnedMails(t *testing.T) {
	t.Parallel()
	states, box := statesOf(t)
	mail := mailOf("verification")
	if err := states.Send(t.Context(), mail); err != nil {
		t.Fatal(err)
	}
	if known, err := states.Return(t.Context(), mail.ID, accounts.UndeliverableError{Cause: accounts.CauseSuppressed}); err != nil || !known {
		t.Fatalf("known %t, %v", known, err)
	}
	if err := states.Send(t.Context(), mail); err != nil || box.sent[mail.ID] != 1 {
		t.Errorf("sent %d times, %v", box.sent[mail.ID], err)
	}
	if got := stateOf(t, states, mail); got.State != postgres.MailFailed || got.Cause != "suppressed" || !got.Returned {
		t.Errorf("%+v", got)
	}
	if known, err := states.Return(t.Context(), uuid.New(), accounts.UndeliverableError{}); err != nil || known {
		t.Errorf("known %t, %v", known, err)
	}
}

// Events without a mail of their own are kept too: what cannot be read, and what has become too old.
func TestParkedAndExpired(t *testing.T) {
	t.Parallel()
	states, box := statesOf(t)
	unreadable := accounts.MailSource{EventID: uuid.New(), Stream: "account-2", Revision: 1}
	for range 2 {
		states.Park(t.Context(), unreadable, "KeyRegenerated", "unknown version")
	}
	mail := mailOf("verification")
	box.refusal = &accounts.UndeliverableError{Cause: accounts.CauseFull}
	_ = states.Send(t.Context(), mail)
	states.Park(t.Context(), mail.Source, "VerificationRequested", "undeliverable") // known already
	list, err := states.List(t.Context(), []postgres.MailState{postgres.MailParked, postgres.MailFailed}, 10)
	if err != nil || len(list) != 2 || list[0].State != postgres.MailFailed || list[1].Kind != "KeyRegenerated" || list[1].Customer != nil || list[1].Problem != "unknown version" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := states.Expired(t.Context(), mail.Source.EventID); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, states, mail); got.State != postgres.MailExpired {
		t.Errorf("%+v", got)
	}
	all, err := states.List(t.Context(), []postgres.MailState{}, 1)
	if err != nil || len(all) != 1 || all[0].ID != mail.ID {
		t.Errorf("%+v, %v", all, err)
	}
	if _, found, err := states.Find(t.Context(), uuid.New()); found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
}
