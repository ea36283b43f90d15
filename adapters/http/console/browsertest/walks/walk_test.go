package walks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// TestWalkInBrowser walks the journey over the console alone: AWS Marketplace is a page with a form, a check is an event.
func TestWalkInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Clock.Advance(time.Since(w.Clock.Now())) // the browser's clock is the real one
	token, identity := w.Market.Sell("standard", 1)
	marketplace := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<title>AWS</title><link rel="icon" href="data:,"><form method="post" action="%s/marketplace/register"><input name="x-amzn-marketplace-token" value="%s"><button>Set up your account</button></form>`, w.URL, token)
	}))
	t.Cleanup(marketplace.Close)
	b := w.Chromium(marketplace.URL)
	subscription := domain.SubscriptionIDForLicence(identity.LicenseARN)
	keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(w.Pool), commands.OneSecret(consoletest.Secret), time.Now)
	site := browsertest.Site{
		URL: w.URL,
		Subscribe: func(b *browsertest.Browser) {
			b.Open(marketplace.URL)
			b.Click("button")
		},
		MailedLink: func(address, subject string) string { return w.URL + w.MailedLink(address, subject) },
		Check: func(key string) int {
			if _, err := keys.AuthenticateKey(t.Context(), key); err != nil {
				return http.StatusUnauthorized
			}
			w.Count(subscription, w.Clock.Now(), 1)
			return http.StatusOK
		},
	}
	browsertest.Walk(b, site)
	b.Open(w.URL + "/console/dashboard")
	endSessions(t, w, b)
	setCeiling(b)
	setNotifications(b)
	useOnPhone(b)
	if os.Getenv("LIVENESS_SCREENSHOTS") != "" {
		fillMonth(t, w, subscription)
		b.Open(w.URL + "/console/dashboard")
		browsertest.Tour(b, "50-busy")
	}
}

// TestPeopleInBrowser walks with one person and two subscriptions, and a colleague.
func TestPeopleInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Clock.Advance(time.Since(w.Clock.Now())) // the browser's clock is the real one
	marketplace := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		token, _ := w.Market.Sell("standard", 1)
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<title>AWS</title><link rel="icon" href="data:,"><form method="post" action="%s/marketplace/register"><input name="x-amzn-marketplace-token" value="%s"><button>Set up your account</button></form>`, w.URL, token)
	}))
	t.Cleanup(marketplace.Close)
	b := w.Chromium(marketplace.URL)
	keys := projections.NewAPIKeys(w.Pool)
	browsertest.WalkPeople(b, browsertest.Site{
		URL: w.URL,
		Subscribe: func(b *browsertest.Browser) {
			b.Open(marketplace.URL)
			b.Click("button")
		},
		MailedLink: func(address, subject string) string { return w.URL + w.MailedLink(address, subject) },
		Check: func(key string) int {
			owner, err := counting.NewKeyAuthenticator(keys, commands.OneSecret(consoletest.Secret), time.Now).AuthenticateKey(t.Context(), key)
			if err != nil {
				return http.StatusUnauthorized
			}
			w.Count(owner.SubscriptionID, w.Clock.Now(), 1)
			return http.StatusOK
		},
	})
}

// endSessions ends the session under a screen; a login over it goes on where the person was.
func endSessions(t *testing.T, w *consoletest.World, b *browsertest.Browser) {
	t.Helper()
	b.Click(`nav a[href="/console/plan"]`)
	b.Await("the plan is shown", "document.querySelector('#overage-continue')")
	b.Click("#overage-continue")
	_, err := w.Pool.Exec(t.Context(), "delete from sessions")
	consoletest.Must(t, err)
	b.Click("#confirm-overage")
	b.Await("a login is asked for", "document.querySelector('#again-password')")
	b.Screen("45-session-ended")
	b.Type("#again-password", browsertest.Password+"!")
	b.Click("#again-password-submit")
	b.Await("the switch that was under way is done", "!document.querySelector('dialog[open]') && document.querySelector('.choice.is-chosen #overage-continue')")
}

// setNotifications chooses other shares of the plan to be told at, and after a reload they are still chosen.
func setNotifications(b *browsertest.Browser) {
	b.Await("the settings are shown", "document.querySelector('#warn-percent')")
	b.Type("#warn-percent", "75")
	b.Click("#save-notifications")
	b.AwaitText(".toast", "Mails about usage are set")
	b.Click(`nav a[href="/console/dashboard"]`)
	b.Click(`nav a[href="/console/plan"]`)
	b.Await("they are kept", "document.querySelector('#warn-percent')?.value === '75' && document.querySelector('#save-notifications').disabled")
	b.Click("#usage-mails")
	b.Await("nothing more can be chosen while they are off", "document.querySelector('#warn-percent').matches(':disabled')")
	b.Screen("46-notifications")
}

// setCeiling bounds pay-as-you-go; the screen shows the ceiling, and it can be moved.
func setCeiling(b *browsertest.Browser) {
	b.Click("#overage-ceiling")
	b.Await("a ceiling is asked for", "document.querySelector('dialog[open] #ceiling')?.value === '500'")
	b.Screen("47-ceiling-asked")
	b.Click("#confirm-overage")
	b.Await("it is in effect", "!document.querySelector('dialog[open]') && document.querySelector('.choice.is-chosen #overage-ceiling')")
	b.Await("it is shown", "document.querySelector('.ceiling')?.innerText.includes('At most 500 calls')")
	b.Click("#change-ceiling")
	b.Await("the ceiling is offered again", "document.querySelector('dialog[open] #ceiling')?.value === '500'")
	b.Type("#ceiling", "5000")
	b.Click("#confirm-overage")
	b.Await("it has moved", "document.querySelector('.ceiling')?.innerText.includes('At most 5,000 calls')")
	b.Screen("48-ceiling")
}

func useOnPhone(b *browsertest.Browser) {
	b.Look(browsertest.Phone, browsertest.Light)
	b.Await("the navigation is folded", "document.querySelector('nav').offsetHeight === 0")
	b.Click(".menu-button")
	b.Await("it is unfolded", "document.querySelector('nav').offsetHeight > 0 && document.querySelector('.menu-button').getAttribute('aria-expanded') === 'true'")
	b.Click(`nav a[href="/console/activity"]`)
	b.Await("the screen has changed and has the focus", "document.activeElement.innerText === 'Activity' && document.querySelector('nav').offsetHeight === 0")
	b.Look(browsertest.Laptop, browsertest.Light)
}

// fillMonth gives the month so far a life that screenshots are worth taking of, beyond the plan's limit.
func fillMonth(t *testing.T, w *consoletest.World, subscription uuid.UUID) {
	now := w.Clock.Now()
	start := domain.MonthOf(now).Start()
	for day := start; day.Before(now.Add(-24 * time.Hour)); day = day.Add(24 * time.Hour) {
		calls := 190 + (day.Day()*67)%110
		if weekday := day.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			calls = 50 + (day.Day()*31)%40
		}
		if day.Day() > 16 {
			calls += 560
		}
		w.Count(subscription, day.Add(9*time.Hour), calls)
	}
	w.Count(subscription, now.Add(-time.Hour), 130)
	w.Settled()
}
