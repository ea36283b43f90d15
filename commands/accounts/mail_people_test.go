package accounts_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// letterbox keeps mails.
type letterbox struct{ mails []accounts.Mail }

func (b *letterbox) Send(_ context.Context, mail accounts.Mail) error {
	b.mails = append(b.mails, mail)
	return nil
}

// mailed hands everything in the log from a place on to the mails, late after it was decided, and returns what they send.
func (f *fixture) mailed(from int, late time.Duration) []accounts.Mail {
	f.t.Helper()
	f.clock.Advance(late)
	box := &letterbox{}
	site, err := url.Parse("https://liveness.example")
	wantError(f.t, "parsing", err, nil)
	handler, err := accounts.NewMails(f.Commands, box, site, "support@liveness.example")
	wantError(f.t, "preparing mails", err, nil)
	all, err := f.store.All()
	wantError(f.t, "reading the log", err, nil)
	for _, recorded := range all[from:] {
		wantError(f.t, "handling "+recorded.Event.EventType(), handler.HandleRecorded(f.t.Context(), recorded), nil)
		delivered := slices.Concat(accounts.MailEvents(), accounts.NoticeEvents())
		if n := len(box.mails); n > 0 && !slices.Contains(delivered, recorded.Event.EventType()) && box.mails[n-1].Source.EventID == recorded.ID {
			f.t.Errorf("%s calls for a mail and is delivered by no group", recorded.Event.EventType())
		}
	}
	return box.mails
}

func (f *fixture) length() int {
	f.t.Helper()
	all, err := f.store.All()
	wantError(f.t, "reading the log", err, nil)
	return len(all)
}

func TestMailsAboutPeople(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(f *fixture)
		happen  func(f *fixture) error
		to      string
		subject string
		says    []string
		once    time.Duration // from then on the mail is void or old news
	}{
		"invitation": {
			happen: func(f *fixture) error { f.invited(graceAddress, domain.RoleOwner); return nil },
			to:     graceAddress, subject: "You are invited to the Liveness Detection API",
			says: []string{"Hello,", "Engines", "an owner", "see and change everything", "https://liveness.example/console/invitation?token=", "choose a password"}, once: domain.InvitationValidity,
		},
		"invitation to read": {
			happen: func(f *fixture) error { f.invited(graceAddress, domain.RoleReader); return nil },
			to:     graceAddress, subject: "You are invited to the Liveness Detection API",
			says: []string{"Engines", "a reader", "see everything and change nothing"}, once: domain.InvitationValidity,
		},
		"attachment": {
			happen: func(f *fixture) error { f.secondCustomer(); return nil },
			to:     "ada@example.com", subject: "Add your new subscription to your Liveness Detection API login",
			says: []string{"Hello,", "https://liveness.example/console/activate?token="}, once: domain.VerificationValidity,
		},
		"change of address": {
			happen: func(f *fixture) error {
				_, err := f.RequestEmailChange(f.t.Context(), accounts.RequestEmailChange{By: f.owner(), AccountID: f.bought.CustomerID, Email: "new@example.com", Password: goodPassword})
				return err
			},
			to: "new@example.com", subject: "Confirm your new work email for the Liveness Detection API",
			says: []string{"Hello,", "https://liveness.example/console/email/confirm?token="}, once: domain.EmailChangeValidity,
		},
		"change to an address with a login": {
			prepare: func(f *fixture) { f.grace(domain.RoleReader) },
			happen: func(f *fixture) error {
				_, err := f.RequestEmailChange(f.t.Context(), accounts.RequestEmailChange{By: f.owner(), AccountID: f.bought.CustomerID, Email: graceAddress, Password: goodPassword})
				return err
			},
			to: graceAddress, subject: "This address has a Liveness Detection API login already", says: []string{"nothing was changed"}, once: domain.EmailChangeValidity,
		},
		"another role": {
			prepare: func(f *fixture) { f.grace(domain.RoleReader) },
			happen: func(f *fixture) error {
				_, err := f.ChangeMemberRole(f.t.Context(), accounts.ChangeMemberRole{By: f.owner(), CustomerID: f.bought.CustomerID, AccountID: f.accountOf(graceAddress), To: domain.RoleOwner})
				return err
			},
			to: graceAddress, subject: "You are now an owner on the Liveness Detection API", says: []string{"Hello Grace,"}, once: 24 * time.Hour,
		},
		"ownership": {
			prepare: func(f *fixture) { f.grace(domain.RoleReader) },
			happen: func(f *fixture) error {
				_, err := f.PassOwnershipOn(f.t.Context(), accounts.PassOwnershipOn{By: f.owner(), CustomerID: f.bought.CustomerID, To: f.accountOf(graceAddress)})
				return err
			},
			to: graceAddress, subject: "You are now an owner on the Liveness Detection API", says: []string{"our mails for it go to you"}, once: 24 * time.Hour,
		},
		"removal": {
			prepare: func(f *fixture) { f.grace(domain.RoleReader) },
			happen: func(f *fixture) error {
				_, err := f.RemoveMember(f.t.Context(), accounts.RemoveMember{By: f.owner(), CustomerID: f.bought.CustomerID, AccountID: f.accountOf(graceAddress)})
				return err
			},
			to: graceAddress, subject: "You were removed from a customer of the Liveness Detection API", says: []string{"Your login stays"}, once: 24 * time.Hour,
		},
		"changed address": {
			happen: func(f *fixture) error {
				by := f.owner()
				_, err := f.RequestEmailChange(f.t.Context(), accounts.RequestEmailChange{By: by, AccountID: f.bought.CustomerID, Email: "new@example.com", Password: goodPassword})
				wantError(f.t, "asking", err, nil)
				token := f.LinkToken(accounts.LinkEmailChange, accounts.Link{CustomerID: f.bought.CustomerID, RequestID: domain.DerivedID(by.CommandID, "email-change")})
				_, err = f.ChangeEmail(f.t.Context(), accounts.ChangeEmail{By: by, Token: token})
				return err
			},
			to: "ada@example.com", subject: "Your Liveness Detection API work email was changed", says: []string{"22 November 2026 at 12:00 UTC", "no longer a login"}, once: 24 * time.Hour,
		},
		"new login": {
			prepare: func(f *fixture) { f.invited("other@example.com", domain.RoleReader) },
			happen:  func(f *fixture) error { f.grace(domain.RoleReader); return nil },
			to:      graceAddress, subject: "Your Liveness Detection API login is active", says: []string{"Hello Grace,"}, once: 24 * time.Hour,
		},
	} {
		for late, due := range map[time.Duration]bool{0: true, c.once - 1: true, c.once: false} {
			f := newFixture(t)
			f.activated()
			if c.prepare != nil {
				c.prepare(f)
			}
			from := f.length()
			wantError(t, name, c.happen(f), nil)
			mails := f.mailed(from, late)
			if !due && len(mails) == 0 {
				continue
			}
			if len(mails) != 1 || !due {
				t.Errorf("%s, %s later: %d mails", name, late, len(mails))
				continue
			}
			mail := mails[0]
			if mail.To != c.to || mail.Subject != c.subject || mail.ID == uuid.Nil || mail.Kind == "" {
				t.Errorf("%s: %+v", name, mail)
			}
			for _, text := range c.says {
				if !strings.Contains(mail.Text, text) {
					t.Errorf("%s: the mail does not say %q:\n%s", name, text, mail.Text)
				}
			}
		}
	}
}

func (f *fixture) accountOf(email string) uuid.UUID {
	f.t.Helper()
	account, err := f.AccountOfMail(f.t.Context(), email)
	wantError(f.t, "looking for a login", err, nil)
	return account.CustomerID
}

// What happens to a customer's keys is told to its owners, and nobody gets the mail of an erased person.
func TestMailsGoToOwners(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	f.grace(domain.RoleOwner)
	from := f.length()
	_, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{By: f.owner(), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary})
	wantError(t, "regenerating", err, nil)
	var to []string
	for _, mail := range f.mailed(from, 0) {
		to = append(to, mail.To)
	}
	slices.Sort(to)
	if !slices.Equal(to, []string{"ada@example.com", graceAddress}) {
		t.Errorf("told: %v", to)
	}
	wantError(t, "erasing", f.ErasePerson(t.Context(), accounts.ErasePerson{
		By: commands.NewOrigin(domain.ActorOperator), AccountID: f.bought.CustomerID, Customers: []uuid.UUID{f.bought.CustomerID},
	}), nil)
	if mails := f.mailed(from, 0); len(mails) != 1 || mails[0].To != graceAddress {
		t.Errorf("after the erasure: %+v", mails)
	}
}
