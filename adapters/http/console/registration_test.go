package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

func TestRefusedRegistrationsSayWhatToDo(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	foreign := w.Market.SellAnother("another-product")
	unknown, _ := w.Market.Sell("platinum", 1)
	without, bought := w.Market.Sell("starter", 1)
	w.Market.Entitle(bought)

	for _, c := range []struct {
		name, token string
		status      int
		says        []string
	}{
		{"missing", "", 400, []string{"Registration starts on AWS Marketplace", "Set up your account"}},
		{"expired", "expired-1", 400, []string{"has expired", "Set up your account", "nothing is bought twice"}},
		{"invalid", "nonsense", 400, []string{"not valid", "Set up your account"}},
		{"very long", strings.Repeat("x", 20_000), 400, []string{"not valid"}},
		{"another product", foreign, 400, []string{"another product", "Set up your account"}},
		{"unknown plan", unknown, 400, []string{"We do not know the plan", "contact support", "support@example.com"}},
		{"no contract", without, 403, []string{"not confirmed your contract yet", "Try again"}},
	} {
		w.Client().Post("/marketplace/register", consoletest.TokenField, c.token).Is(c.status).Says(c.says...)
		t.Log(c.name)
	}
	w.Client().Get("/marketplace/register").Is(400).Says("Registration starts on AWS Marketplace")
}

func TestAWSDownKeepsTheToken(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	token, _ := w.Market.Sell("starter", 1)
	w.Market.Fail(errors.New("connection refused"))
	b := w.Client()
	page := b.Post("/marketplace/register", consoletest.TokenField, token).Is(503).Says("AWS Marketplace does not answer", "Your purchase is safe", "Try again")
	if !strings.Contains(page.Body, `value="`+token+`"`) {
		t.Error("the page cannot send the registration again")
	}
	if page.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.Market.Fail(nil)
	b.Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/onboarding")
}

func TestReturningBuyers(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	token, identity := w.Market.Sell("enterprise", 250_000)
	b := w.Client()
	for range 3 {
		b.Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/onboarding").Says("Enterprise, 250,000 calls a month")
	}
	started, err := w.Store.Read(t.Context(), domain.SubscriptionStream(domain.SubscriptionIDForLicence(identity.LicenseARN)), 0, 10)
	consoletest.Must(t, err)
	if len(started) != 1 {
		t.Errorf("three registrations left %d events", len(started))
	}
	b.Post("/console/onboarding", consoletest.OnboardingForm()...).At("/console/check-mail")
	w.Client().Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/check-mail").Says("entered your details before", "Send the mail again")
	b.Activate()
	w.Client().Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/login").Says("already has an account")

	_, err = w.Subscriptions().SwitchOverage(t.Context(), subscriptions.SwitchOverage{By: commands.NewOrigin("test"), SubscriptionID: started[0].Event.(domain.SubscriptionStarted).SubscriptionID, To: domain.OverageStop})
	consoletest.Must(t, err)
}

func TestTokenStaysOutOfCookiesAndPages(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	token, _ := w.Market.Sell("starter", 1)
	b := w.Client()
	page := b.Post("/marketplace/register", consoletest.TokenField, token).Is(200)
	site, err := url.Parse(w.URL)
	consoletest.Must(t, err)
	for _, cookie := range b.HTTP.Jar.Cookies(site) {
		if strings.Contains(cookie.Value, token) {
			t.Error("a cookie holds the token")
		}
	}
	if strings.Contains(page.Body, token) {
		t.Error("the onboarding screen holds the token")
	}
}

func TestOnlyMarketplaceMayPostFromAnotherSite(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	token, _ := w.Market.Sell("starter", 1)
	b := w.Client()
	b.Origin = "https://aws.amazon.com"
	b.Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/onboarding")
	for _, path := range []string{"/console/onboarding", "/console/login", "/console/logout", "/console/activate", "/console/password/forgot", "/console/check-mail/resend"} {
		b.Post(path, consoletest.OnboardingForm()...).Is(403).Says("came from another website")
	}
	b.Command("plan/overage", map[string]string{"to": "stop"}).Is(403).Code("cross_origin")
}

func TestGuessedTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	guesser := w.Client()
	for n := range 100 {
		if a := guesser.Post("/marketplace/register", consoletest.TokenField, fmt.Sprint("guess-", n)); a.Status == http.StatusTooManyRequests {
			a.Says("Please wait a moment", "Try again in")
			token, _ := w.Market.Sell("starter", 1)
			buyer := w.Client()
			buyer.Address = "192.0.2.77"
			buyer.Post("/marketplace/register", consoletest.TokenField, token).Is(200)
			return
		}
	}
	t.Error("a hundred guesses in a row were answered")
}

// Whose registration was erased before its link was used is not sent to a login that there is none of.
func TestBuyerWhoseRegistrationIsErased(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	token, identity := w.Market.Sell("starter", 1)
	b := w.Client()
	b.Post("/marketplace/register", consoletest.TokenField, token)
	form := consoletest.OnboardingForm()
	b.Post("/console/onboarding", form...).At("/console/check-mail")
	w.Settled()
	link := w.MailedLink(consoletest.MailAddress, "Verify")
	customer := domain.CustomerIDForSubscription(domain.SubscriptionIDForLicence(identity.LicenseARN))
	consoletest.Must(t, w.Accounts.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: commands.NewOrigin(domain.ActorOperator), CustomerID: customer}))
	w.Client().Post("/marketplace/register", consoletest.TokenField, token).Is(409).Says("This account was closed", "contact support")
	b.Post("/console/onboarding", form...).Is(409).Says("cannot be set up again")
	b.Post("/console/check-mail/resend").Is(409).Says("cannot be set up again")
	b.Get(link).Is(409).Says("This account was closed")
}

// A buyer whose contract starts later is told when, and sets the account up before: nothing is to be clicked again.
func TestBuyerOfALaterContract(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	token, identity := w.Market.Sell("starter", 1)
	w.Market.Entitle(identity)
	startsAt := w.Clock.Now().AddDate(0, 0, 11)
	_, err := w.Store.Append(t.Context(), domain.NotificationStream(identity.AWSAccountID), commands.NoStream, []commands.Proposed{{
		ID: uuid.New(), Event: domain.MarketplaceNotified{
			NotificationID: "n-1", Type: "Purchase Agreement Created", AgreementID: "agmt-1", AWSAccountID: identity.AWSAccountID, StartsAt: startsAt,
		},
	}})
	consoletest.Must(t, err)
	b := w.Client()
	page := b.Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/onboarding").
		Says("Contract starts", "1 December 2026", "you need not come back here")
	if strings.Contains(page.Text(), "calls a month") {
		t.Errorf("a plan is shown that AWS does not tell yet:\n%s", page.Text())
	}
	b.Post("/console/onboarding", consoletest.OnboardingForm()...).At("/console/check-mail")
	b.Activate()
	b.LogIn()
	var session struct {
		Status   string
		StartsAt *time.Time
	}
	if b.Read("session", &session); session.Status != "scheduled" || session.StartsAt == nil || !session.StartsAt.Equal(startsAt) {
		t.Errorf("the session says %+v", session)
	}
	b.Command("plan/overage", map[string]string{"to": "stop"}).Is(403).Code("subscription_inactive")
	w.Market.Entitle(identity, domain.ContractEntitlement{Dimension: "starter", Quantity: 1})
	w.Clock.Advance(11 * 24 * time.Hour)
	w.Client().Post("/marketplace/register", consoletest.TokenField, token).Is(200).At("/console/login")
	w.Settled()
	if b.Read("session", &session); session.Status != "active" {
		t.Errorf("the session says %+v", session)
	}
}
