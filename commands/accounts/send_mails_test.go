package accounts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// openVault keeps personal data as it is, until it is destroyed.
type openVault struct{ destroyed bool }

func (v *openVault) Encrypt(_ context.Context, _ uuid.UUID, plaintext []byte) (domain.Ciphertext, error) {
	return domain.Ciphertext(plaintext), nil
}

func (v *openVault) Decrypt(_ context.Context, _ uuid.UUID, ciphertext domain.Ciphertext) ([]byte, error) {
	if v.destroyed {
		return nil, accounts.ErrErased
	}
	return []byte(ciphertext), nil
}

func (v *openVault) Destroy(context.Context, uuid.UUID) error {
	v.destroyed = true
	return nil
}

// postbox takes mails over, unless it is out of order.
type postbox struct {
	mails []accounts.Mail
	err   error
}

func (p *postbox) Send(_ context.Context, mail accounts.Mail) error {
	if p.err == nil {
		p.mails = append(p.mails, mail)
	}
	return p.err
}

// mailing is an application with a registered account and its mail handler.
type mailing struct {
	t       *testing.T
	now     time.Time
	store   *memorystore.Store
	app     *accounts.Commands
	vault   *openVault
	box     *postbox
	handler *accounts.Mails
	id      uuid.UUID // of the subscription
}

func newMailing(t *testing.T) *mailing {
	t.Helper()
	m := &mailing{t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), vault: &openVault{}, box: &postbox{}}
	clock := func() time.Time { return m.now }
	m.store = memorystore.New(clock)
	var err error
	m.app, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: m.store, Now: clock}, Vault: m.vault, Barrier: &commandstest.Barrier{},
		Keyring: commands.OneSecret(strings.Repeat("s", 32)), Log: slog.New(slog.DiscardHandler), PasswordCost: commandstest.CheapPasswords,
	})
	m.must(err)
	m.handler = m.handlerOf(m.box)
	started, err := subscriptions.Commands{Executor: m.app.Executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license:l-1"},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	m.must(err)
	m.id = started.State.ID
	m.register()
	return m
}

func (m *mailing) handlerOf(mailer accounts.Mailer) *accounts.Mails {
	m.t.Helper()
	site, err := url.Parse("https://liveness.example")
	m.must(err)
	handler, err := accounts.NewMails(m.app, mailer, site, "support@liveness.example")
	m.must(err)
	return handler
}

func (m *mailing) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mailing) register() {
	m.t.Helper()
	_, err := m.app.RegisterAccount(m.t.Context(), accounts.RegisterAccount{By: commands.NewOrigin(domain.ActorBuyer), SubscriptionID: m.id, Person: accounts.Person{
		FirstName: "Ada <b>", LastName: "Lovelace", Email: "ada@example.com", Company: "Engines", Website: "https://example.com",
	}})
	m.must(err)
}

// deliver hands all events from one on to the handler, and gives the mails that this leads to.
func (m *mailing) deliver(from int) []accounts.Mail {
	m.t.Helper()
	all, err := m.store.All()
	m.must(err)
	m.box.mails = nil
	for _, recorded := range all[from:] {
		m.must(m.handler.HandleRecorded(m.t.Context(), recorded))
	}
	return m.box.mails
}

func TestVerificationMail(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	mails := m.deliver(0)
	if len(mails) != 1 || mails[0].To != "ada@example.com" {
		t.Fatalf("mails: %+v", mails)
	}
	_, link, _ := strings.Cut(mails[0].Text, "https://liveness.example/console/activate?token=")
	token, _, _ := strings.Cut(link, "\n")
	if _, err := m.app.CheckVerificationLink(t.Context(), token); err != nil {
		t.Errorf("the mailed link does not work: %v", err)
	}
	for _, text := range []string{"21 November 2026 at 12:00 UTC", "works once", "support@liveness.example"} {
		if !strings.Contains(mails[0].Text, text) || !strings.Contains(mails[0].HTML, text) {
			t.Errorf("the mail does not say %q", text)
		}
	}
	if strings.Contains(mails[0].HTML, "<b>") || !strings.Contains(mails[0].HTML, token) {
		t.Errorf("HTML: %s", mails[0].HTML)
	}
	again := m.deliver(0)
	if len(again) != 1 || again[0] != mails[0] {
		t.Error("the same event does not give the same mail again")
	}
	all, err := m.store.All()
	m.must(err)
	for _, recorded := range all {
		text, err := json.Marshal(recorded)
		m.must(err)
		if strings.Contains(string(text), token) {
			t.Errorf("the log holds the token: %s", text)
		}
	}
}

func TestVoidLinksAreNotMailed(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	m.register()
	if mails := m.deliver(0); len(mails) != 1 {
		t.Errorf("two registrations, one after the other, mail %d links; only the newer one works", len(mails))
	}
	m.now = m.now.Add(domain.VerificationValidity)
	if mails := m.deliver(0); len(mails) != 0 {
		t.Errorf("an expired link is mailed: %+v", mails)
	}
}

func TestErasedPeopleGetNoMail(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	m.must(m.vault.Destroy(t.Context(), uuid.Nil))
	if mails := m.deliver(0); len(mails) != 0 {
		t.Errorf("mails: %+v", mails)
	}
}

func TestMailThatIsNotTakenOverIsAskedForAgain(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	all, err := m.store.All()
	m.must(err)
	for _, refusal := range []error{errors.New("no route to host"), fmt.Errorf("no such person: %w", accounts.ErrUndeliverable)} {
		m.box.err = refusal
		err := m.handler.HandleRecorded(t.Context(), all[len(all)-1])
		if !errors.Is(err, refusal) || accounts.Undeliverable(err) != errors.Is(refusal, accounts.ErrUndeliverable) {
			t.Errorf("a mail that could not be sent gives %v", err)
		}
	}
}

// Every event that concerns the owner's access gives one mail with a link to where it is dealt with; nobody is mailed about
// the past, and a mail that is asked for is the type of event that the log is to deliver.
func TestNotices(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	account, err := m.app.Account(t.Context(), m.customer())
	m.must(err)
	customer := account.CustomerID
	reset := uuid.New()
	for name, c := range map[string]struct {
		event   domain.Event
		subject string
		says    []string
	}{
		"activated": {domain.AccountActivated{CustomerID: customer}, "Your Liveness Detection API account is active", []string{"https://liveness.example/console/login"}},
		"password changed": {domain.PasswordSet{CustomerID: customer, Cause: domain.PasswordChange, SetAt: m.now},
			"Your Liveness Detection API password was changed", []string{"20 November 2026 at 12:00 UTC", "https://liveness.example/console/password/forgot"}},
		"password reset": {domain.PasswordSet{CustomerID: customer, Cause: domain.PasswordReset, SetAt: m.now}, "Your Liveness Detection API password was changed", nil},
		"first password": {domain.PasswordSet{CustomerID: customer, Cause: domain.PasswordActivation, SetAt: m.now}, "", nil},
		"primary key": {domain.KeyRegenerated{CustomerID: customer, Slot: domain.SlotPrimary, OldKey: domain.KeyDigest{Prefix: "lc_old"}, NewKey: domain.KeyDigest{Prefix: "lc_new"}, RegeneratedAt: m.now},
			"Your Primary API key was regenerated", []string{"lc_old…", "lc_new", "https://liveness.example/console/keys?customer=" + customer.String(), "Customer ID: " + customer.String()}},
		"secondary key": {domain.KeyRegenerated{CustomerID: customer, Slot: domain.SlotSecondary, RegeneratedAt: m.now}, "Your Secondary API key was regenerated", nil},
		"void reset":    {domain.PasswordResetRequested{CustomerID: customer, ResetID: reset, ExpiresAt: m.now.Add(time.Hour)}, "", nil},
		"two-step login on": {domain.SecondFactorAdded{CustomerID: customer, AddedAt: m.now}, "Two-step login to your Liveness Detection API account is on",
			[]string{"Since 20 November 2026 at 12:00 UTC", "https://liveness.example/console/password/forgot"}},
		"two-step login off": {domain.SecondFactorRemoved{CustomerID: customer, RemovedAt: m.now}, "Two-step login to your Liveness Detection API account is off",
			[]string{"Two-step login was switched off on 20 November 2026 at 12:00 UTC", "The password alone is enough"}},
		"fresh recovery codes": {domain.RecoveryCodesReplaced{CustomerID: customer, ReplacedAt: m.now}, "Your Liveness Detection API recovery codes were replaced",
			[]string{"made on 20 November 2026 at 12:00 UTC", "no longer work"}},
		"a recovery code": {domain.RecoveryCodeUsed{CustomerID: customer, UsedAt: m.now}, "A recovery code of your Liveness Detection API account was used",
			[]string{"in place of your app's on 20 November 2026 at 12:00 UTC", "None is left"}},
		"issued key": {domain.KeyIssued{CustomerID: customer, Slot: domain.SlotPrimary}, "", nil},
	} {
		recorded := domain.Recorded{ID: uuid.New(), Event: c.event, Meta: domain.Metadata{OccurredAt: m.now}}
		for age, late := range map[time.Duration]bool{0: false, 24*time.Hour - 1: false, 24 * time.Hour: true} {
			m.box.mails = nil
			recorded.Meta.OccurredAt = m.now.Add(-age)
			m.must(m.handler.HandleRecorded(t.Context(), recorded))
			if due := c.subject != "" && !late; due != (len(m.box.mails) == 1) {
				t.Errorf("%s, %s later: %d mails", name, age, len(m.box.mails))
				continue
			} else if !due {
				continue
			}
			mail := m.box.mails[0]
			if mail.Subject != c.subject || mail.ID != recorded.ID || mail.To != "ada@example.com" || !slices.Contains(slices.Concat(accounts.MailEvents(), accounts.SecondFactorEvents()), c.event.EventType()) {
				t.Errorf("%s: %+v", name, mail)
			}
			for _, text := range append(c.says, "Hello Ada <b>,") {
				if !strings.Contains(mail.Text, text) {
					t.Errorf("%s: the mail does not say %q: %s", name, text, mail.Text)
				}
			}
		}
	}
}

func (m *mailing) customer() uuid.UUID {
	m.t.Helper()
	s, err := subscriptions.Commands{Executor: m.app.Executor}.Subscription(m.t.Context(), m.id)
	m.must(err)
	return s.CustomerID
}

// A reset link is mailed while it works. Whose data are erased gets nothing, also while the key still exists.
func TestResetMail(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	customer, reset := m.customer(), uuid.New()
	all, err := m.store.All()
	m.must(err)
	from := len(all)
	account, err := m.app.Account(t.Context(), customer)
	m.must(err)
	happen := func(events ...domain.Event) {
		t.Helper()
		last, _, err := m.store.ReadLast(t.Context(), domain.AccountStream(customer))
		m.must(err)
		var proposed []commands.Proposed
		for _, event := range events {
			proposed = append(proposed, commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{OccurredAt: m.now}})
		}
		_, err = m.store.Append(t.Context(), domain.AccountStream(customer), int64(last.Revision), proposed)
		m.must(err)
	}
	happen(
		domain.EmailVerified{CustomerID: customer, VerificationID: account.VerificationID}, domain.PasswordSet{CustomerID: customer, PasswordHash: "x", Cause: domain.PasswordActivation},
		domain.AccountActivated{CustomerID: customer}, domain.PasswordResetRequested{CustomerID: customer, ResetID: reset, ExpiresAt: m.now.Add(time.Hour)},
	)
	mails := m.deliver(from + 3)
	if len(mails) != 1 || mails[0].Subject != "Reset your password for the Liveness Detection API" || !strings.Contains(mails[0].Text, "20 November 2026 at 13:00 UTC") {
		t.Fatalf("mails: %+v", mails)
	}
	_, link, _ := strings.Cut(mails[0].Text, "https://liveness.example/console/password/reset?token=")
	token, _, _ := strings.Cut(link, "\n")
	if _, err := m.app.CheckResetLink(t.Context(), token); err != nil {
		t.Errorf("the mailed link does not work: %v", err)
	}
	happen(domain.PersonalDataErased{CustomerID: customer})
	if mails := m.deliver(from); len(mails) != 0 {
		t.Errorf("mails after the erasure: %+v", mails)
	}
}

// What cannot be read now is asked for again.
func TestMailWithoutALog(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	all, err := m.store.All()
	m.must(err)
	m.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	if err := m.handler.HandleRecorded(t.Context(), all[len(all)-1]); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := m.handler.HandleRecorded(t.Context(), domain.Recorded{Event: domain.LoginFailed{}}); err != nil {
		t.Errorf("an event that calls for no mail: %v", err)
	}
}

// Who is told that a recovery code was used learns how many are left; that an operator switched two-step login off is said.
func TestMailsAboutTheSecondFactor(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	m.activate()
	customer := m.customer()
	m.happen(domain.AccountStream(customer), domain.SecondFactorAdded{CustomerID: customer, Factor: "factor", Codes: 3, AddedAt: m.now})
	for used, says := range []string{"2 are left.", "One is left: make fresh ones", "None is left: make fresh ones"} {
		event := domain.RecoveryCodeUsed{CustomerID: customer, Code: used, UsedAt: m.now}
		m.happen(domain.AccountStream(customer), event)
		m.box.mails = nil
		m.must(m.handler.HandleRecorded(t.Context(), domain.Recorded{ID: uuid.New(), Event: event, Meta: domain.Metadata{OccurredAt: m.now}}))
		if len(m.box.mails) != 1 || m.box.mails[0].Kind != accounts.MailKindRecoveryCodeUsed || !strings.Contains(m.box.mails[0].Text, says) {
			t.Errorf("after %d: %+v", used+1, m.box.mails)
		}
	}
	for actor, says := range map[string]string{domain.ActorUser: "Two-step login was switched off on", domain.ActorOperator: "Our support, asked to, switched two-step login off on"} {
		m.box.mails = nil
		m.must(m.handler.HandleRecorded(t.Context(), domain.Recorded{
			ID: uuid.New(), Event: domain.SecondFactorRemoved{CustomerID: customer, RemovedAt: m.now}, Meta: domain.Metadata{OccurredAt: m.now, Actor: actor},
		}))
		if len(m.box.mails) != 1 || m.box.mails[0].Kind != accounts.MailKindSecondFactorRemoved || !strings.Contains(m.box.mails[0].Text, says) {
			t.Errorf("by %s: %+v", actor, m.box.mails)
		}
	}
}
