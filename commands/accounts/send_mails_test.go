package accounts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
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
		Secret: []byte(strings.Repeat("s", 32)), Log: slog.New(slog.DiscardHandler),
	})
	m.must(err)
	site, err := url.Parse("https://liveness.example")
	m.must(err)
	m.handler, err = accounts.NewMails(m.app, m.box, site, "support@liveness.example")
	m.must(err)
	started, err := subscriptions.Commands{Executor: m.app.Executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license:l-1"},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	m.must(err)
	m.id = started.State.ID
	m.register()
	return m
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
