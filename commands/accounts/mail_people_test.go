package accounts_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// logins makes ada's registration a login, and another one with an address of its own.
func (m *mailing) logins() (other uuid.UUID) {
	m.t.Helper()
	other = m.registerAnother("mallory@example.com")
	for _, customer := range []uuid.UUID{m.customer(), other} {
		account, err := m.app.Account(m.t.Context(), customer)
		m.must(err)
		token := m.app.LinkToken(accounts.LinkVerification, accounts.Link{CustomerID: customer, RequestID: account.VerificationID})
		_, err = m.app.ActivateAccount(m.t.Context(), accounts.ActivateAccount{By: commands.NewOrigin(domain.ActorBuyer), Token: token, Password: goodPassword})
		m.must(err)
	}
	return other
}

// registerAnother registers a subscription that somebody else has bought.
func (m *mailing) registerAnother(email string) uuid.UUID {
	m.t.Helper()
	bought, err := subscriptions.Commands{Executor: m.app.Executor}.StartSubscription(m.t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "210987654321", LicenseARN: "arn:aws:license:" + uuid.NewString()},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	m.must(err)
	_, err = m.app.RegisterAccount(m.t.Context(), accounts.RegisterAccount{
		By: commands.NewOrigin(domain.ActorBuyer), SubscriptionID: bought.State.ID,
		Person: accounts.Person{FirstName: "Mallory", LastName: "M", Email: email, Company: "Other", Website: "https://example.com"},
	})
	m.must(err)
	return bought.State.CustomerID
}

// Whatever somebody typed who used the address of another's login, the mail greets whom it goes to.
func TestMailsToALoginGreetItsPerson(t *testing.T) {
	t.Parallel()
	for kind, ask := range map[string]func(m *mailing, other uuid.UUID){
		accounts.MailKindAttach: func(m *mailing, _ uuid.UUID) { m.registerAnother("ada@example.com") },
		accounts.MailKindEmailTaken: func(m *mailing, other uuid.UUID) {
			_, err := m.app.RequestEmailChange(m.t.Context(), accounts.RequestEmailChange{
				By: commands.NewUserOrigin(other), AccountID: other, Password: goodPassword, Email: "ada@example.com",
			})
			m.must(err)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := newMailing(t)
			other := m.logins()
			before, err := m.store.All()
			m.must(err)
			ask(m, other)
			mails := m.deliver(len(before))
			if len(mails) != 1 || mails[0].Kind != kind || mails[0].To != "ada@example.com" || !strings.HasPrefix(mails[0].Text, "Hello Ada <b>,") {
				t.Errorf("mails %+v", mails)
			}
		})
	}
}
