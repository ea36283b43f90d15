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

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

const tokenField = "x-amzn-marketplace-token"

func TestRefusedRegistrationsSayWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign, _ := w.market.sell("starter", 1)
	identity := w.market.buyers[foreign]
	identity.ProductCode = "another-product"
	w.market.buyers[foreign] = identity
	unknown, _ := w.market.sell("platinum", 1)
	without, bought := w.market.sell("starter", 1)
	w.market.bought[bought.LicenseARN] = nil

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
		w.browser().post("/marketplace/register", tokenField, c.token).is(c.status).says(c.says...)
		t.Log(c.name)
	}
	w.browser().get("/marketplace/register").is(400).says("Registration starts on AWS Marketplace")
}

func TestAWSDownKeepsTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, _ := w.market.sell("starter", 1)
	w.market.fail(errors.New("connection refused"))
	b := w.browser()
	page := b.post("/marketplace/register", tokenField, token).is(503).says("AWS Marketplace does not answer", "Your purchase is safe", "Try again")
	if !strings.Contains(page.body, `value="`+token+`"`) {
		t.Error("the page cannot send the registration again")
	}
	if page.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.market.fail(nil)
	b.post("/marketplace/register", tokenField, token).is(200).at("/console/onboarding")
}

func TestReturningBuyers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, identity := w.market.sell("enterprise", 250_000)
	b := w.browser()
	for range 3 {
		b.post("/marketplace/register", tokenField, token).is(200).at("/console/onboarding").says("Enterprise, 250,000 calls a month")
	}
	started, err := w.store.Read(t.Context(), domain.SubscriptionStream(domain.SubscriptionIDForLicence(identity.LicenseARN)), 0, 10)
	must(t, err)
	if len(started) != 1 {
		t.Errorf("three registrations left %d events", len(started))
	}
	b.post("/console/onboarding", person()...).at("/console/check-mail")
	w.browser().post("/marketplace/register", tokenField, token).is(200).at("/console/check-mail").says("entered your details before", "Send the mail again")
	b.activate()
	w.browser().post("/marketplace/register", tokenField, token).is(200).at("/console/login").says("already has an account")

	_, err = w.subscriptions().SwitchOverage(t.Context(), subscriptions.SwitchOverage{By: commands.NewOrigin("test"), SubscriptionID: started[0].Event.(domain.SubscriptionStarted).SubscriptionID, To: domain.OverageStop})
	must(t, err)
}

func TestTokenStaysOutOfCookiesAndPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, _ := w.market.sell("starter", 1)
	b := w.browser()
	page := b.post("/marketplace/register", tokenField, token).is(200)
	site, err := url.Parse(w.url)
	must(t, err)
	for _, cookie := range b.client.Jar.Cookies(site) {
		if strings.Contains(cookie.Value, token) {
			t.Error("a cookie holds the token")
		}
	}
	if strings.Contains(page.body, token) {
		t.Error("the onboarding screen holds the token")
	}
}

func TestOnlyMarketplaceMayPostFromAnotherSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, _ := w.market.sell("starter", 1)
	b := w.browser()
	b.origin = "https://aws.amazon.com"
	b.post("/marketplace/register", tokenField, token).is(200).at("/console/onboarding")
	for _, path := range []string{"/console/onboarding", "/console/login", "/console/logout", "/console/activate", "/console/password/forgot", "/console/check-mail/resend"} {
		b.post(path, person()...).is(403).says("came from another website")
	}
	b.command("plan/overage", map[string]string{"to": "stop"}).is(403).code("cross_origin")
}

func TestGuessedTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	guesser := w.browser()
	for n := range 100 {
		if a := guesser.post("/marketplace/register", tokenField, fmt.Sprint("guess-", n)); a.status == http.StatusTooManyRequests {
			a.says("Please wait a moment", "Try again in")
			token, _ := w.market.sell("starter", 1)
			buyer := w.browser()
			buyer.address = "192.0.2.77"
			buyer.post("/marketplace/register", tokenField, token).is(200)
			return
		}
	}
	t.Error("a hundred guesses in a row were answered")
}

// A buyer whose contract starts later is told when, and sets the account up before: nothing is to be clicked again.
func TestBuyerOfALaterContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, identity := w.market.sell("starter", 1)
	contract := w.market.bought[identity.LicenseARN]
	w.market.bought[identity.LicenseARN] = nil
	startsAt := w.clock.Now().AddDate(0, 0, 11)
	_, err := w.store.Append(t.Context(), domain.NotificationStream(identity.AWSAccountID), commands.NoStream, []commands.Proposed{{
		ID: uuid.New(), Event: domain.MarketplaceNotified{
			NotificationID: "n-1", Type: "Purchase Agreement Created", AgreementID: "agmt-1", AWSAccountID: identity.AWSAccountID, StartsAt: startsAt,
		},
	}})
	must(t, err)
	b := w.browser()
	page := b.post("/marketplace/register", tokenField, token).is(200).at("/console/onboarding").
		says("Contract starts", "1 December 2026", "you need not come back here")
	if strings.Contains(page.text(), "calls a month") {
		t.Errorf("a plan is shown that AWS does not tell yet:\n%s", page.text())
	}
	b.post("/console/onboarding", person()...).at("/console/check-mail")
	b.activate()
	b.logIn()
	var session struct {
		Status   string
		StartsAt *time.Time
	}
	if b.read("session", &session); session.Status != "scheduled" || session.StartsAt == nil || !session.StartsAt.Equal(startsAt) {
		t.Errorf("the session says %+v", session)
	}
	b.command("plan/overage", map[string]string{"to": "stop"}).is(403).code("subscription_inactive")
	w.market.mu.Lock()
	w.market.bought[identity.LicenseARN] = contract
	w.market.mu.Unlock()
	w.clock.advance(11 * 24 * time.Hour)
	w.browser().post("/marketplace/register", tokenField, token).is(200).at("/console/login")
	w.settled()
	if b.read("session", &session); session.Status != "active" {
		t.Errorf("the session says %+v", session)
	}
}
