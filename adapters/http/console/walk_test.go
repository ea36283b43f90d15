package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// TestWalkInBrowser walks the journey over the console alone: AWS Marketplace is a page with a form, a check is an event.
func TestWalkInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.advance(time.Since(w.clock.Now())) // the browser's clock is the real one
	token, identity := w.market.sell("standard", 1)
	marketplace := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<title>AWS</title><link rel="icon" href="data:,"><form method="post" action="%s/marketplace/register"><input name="x-amzn-marketplace-token" value="%s"><button>Set up your account</button></form>`, w.url, token)
	}))
	t.Cleanup(marketplace.Close)
	b := w.chromium(marketplace.URL)
	subscription := domain.SubscriptionIDForLicence(identity.LicenseARN)
	keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(w.pool), []byte(testSecret), time.Now)
	site := browsertest.Site{
		URL: w.url,
		Subscribe: func(b *browsertest.Browser) {
			b.Open(marketplace.URL)
			b.Click("button")
		},
		MailedLink: func(address, subject string) string { return w.url + w.mailedLink(address, subject) },
		Check: func(key string) int {
			if _, err := keys.AuthenticateKey(t.Context(), key); err != nil {
				return http.StatusUnauthorized
			}
			w.count(subscription, w.clock.Now(), 1)
			return http.StatusOK
		},
	}
	browsertest.Walk(b, site)
	b.Open(w.url + "/console/dashboard")
	w.endSessions(b)
	setCeiling(b)
	setNotifications(b)
	useOnPhone(b)
	if os.Getenv("LIVENESS_SCREENSHOTS") != "" {
		w.fillMonth(subscription)
		b.Open(w.url + "/console/dashboard")
		browsertest.Tour(b, "50-busy")
	}
}

// TestPeopleInBrowser walks with one person and two subscriptions, and a colleague.
func TestPeopleInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.advance(time.Since(w.clock.Now())) // the browser's clock is the real one
	marketplace := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		token, _ := w.market.sell("standard", 1)
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<title>AWS</title><link rel="icon" href="data:,"><form method="post" action="%s/marketplace/register"><input name="x-amzn-marketplace-token" value="%s"><button>Set up your account</button></form>`, w.url, token)
	}))
	t.Cleanup(marketplace.Close)
	b := w.chromium(marketplace.URL)
	keys := projections.NewAPIKeys(w.pool)
	browsertest.WalkPeople(b, browsertest.Site{
		URL: w.url,
		Subscribe: func(b *browsertest.Browser) {
			b.Open(marketplace.URL)
			b.Click("button")
		},
		MailedLink: func(address, subject string) string { return w.url + w.mailedLink(address, subject) },
		Check: func(key string) int {
			owner, err := counting.NewKeyAuthenticator(keys, []byte(testSecret), time.Now).AuthenticateKey(t.Context(), key)
			if err != nil {
				return http.StatusUnauthorized
			}
			w.count(owner.SubscriptionID, w.clock.Now(), 1)
			return http.StatusOK
		},
	})
}

// chromium opens a browser that asks no other host than the console and hosts. LIVENESS_SCREENSHOTS names a folder to write
// screenshots to.
func (w *world) chromium(hosts ...string) *browsertest.Browser {
	w.t.Helper()
	cache := parts.New(parts.Options{Progress: w.t.Output()})
	program, err := cache.Chromium(w.t.Context())
	if err != nil {
		if os.Getenv("CI") == "" {
			w.t.Skipf("no Chromium: %v", err)
		}
		w.t.Fatal(err)
	}
	axe, err := cache.AxeCore(w.t.Context())
	must(w.t, err)
	w.clock.advance(time.Since(w.clock.Now())) // the browser's clock is the real one
	return browsertest.Open(w.t, browsertest.Config{Chromium: program, Axe: axe, Shots: os.Getenv("LIVENESS_SCREENSHOTS")}, append(hosts, w.url)...)
}

// person opens a browser in which a new customer has logged in, and looks at a screen.
func (w *world) person(screen string) *browsertest.Browser {
	w.t.Helper()
	b := w.chromium()
	w.browser().customer()
	w.logIn(b)
	b.Open(w.url + "/console/" + screen)
	b.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
	return b
}

func (w *world) logIn(b *browsertest.Browser) {
	w.t.Helper()
	b.Open(w.url + "/console/login")
	b.Type("#email", mailAddress)
	b.Type("#password", password)
	b.Click("button[type=submit]")
	b.AwaitPath("/console/dashboard")
}

// endSessions ends the session under a screen; a login over it goes on where the person was.
func (w *world) endSessions(b *browsertest.Browser) {
	w.t.Helper()
	b.Click(`nav a[href="/console/plan"]`)
	b.Await("the plan is shown", "document.querySelector('#overage-continue')")
	b.Click("#overage-continue")
	_, err := w.pool.Exec(w.t.Context(), "delete from sessions")
	must(w.t, err)
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

// count appends counted calls of a subscription at one moment, as the API does.
func (w *world) count(subscription uuid.UUID, at time.Time, calls int) {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	s, err := w.subscriptions().Subscription(ctx, subscription)
	must(w.t, err)
	stream := domain.UsageStream(subscription, domain.MonthOf(at))
	usage, revision := domain.UsageMonth{Month: domain.MonthOf(at)}, commands.NoStream
	last, found, err := w.store.ReadLast(ctx, stream)
	must(w.t, err)
	if found {
		usage, revision = usage.Fold(last.Event), int64(last.Revision)
	}
	var events []commands.Proposed
	for range calls {
		n := usage.Counted()
		likelihood := 0.004 + float64((n*37)%90)/1000
		if n%11 == 4 {
			likelihood = 0.62 + float64((n*53)%370)/1000
		}
		valid, issues := n%17 != 3, domain.Issues("")
		if !valid {
			issues = domain.NewIssues(domain.IssueTooDark, domain.IssueBlurred)
		}
		event, err := usage.Count(domain.Subscription{
			ID: s.ID, CustomerID: s.CustomerID, Status: s.Status, Plan: s.Plan, Limit: s.Limit, Overage: domain.OverageContinue,
		}, 0, domain.Check{
			ID: uuid.New(), KeySlot: domain.SlotPrimary, At: at,
			Judgement: domain.Judgement{FakeLikelihood: likelihood, FakeFace: likelihood > 0.15, ValidFace: valid, Issues: issues, Faces: 2, Brightness: 118 + float64(n%60), Threshold: 0.15, LatencyMS: 84 + n%70},
		})
		must(w.t, err)
		events = append(events, commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{CorrelationID: uuid.New(), Actor: domain.ActorAPIClient, OccurredAt: at}})
		usage = usage.Fold(event)
		at = at.Add(7 * time.Second)
	}
	_, err = w.store.Append(ctx, stream, revision, events)
	must(w.t, err)
}

// fillMonth gives the month so far a life that screenshots are worth taking of, beyond the plan's limit.
func (w *world) fillMonth(subscription uuid.UUID) {
	now := w.clock.Now()
	start := domain.MonthOf(now).Start()
	for day := start; day.Before(now.Add(-24 * time.Hour)); day = day.Add(24 * time.Hour) {
		calls := 190 + (day.Day()*67)%110
		if weekday := day.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			calls = 50 + (day.Day()*31)%40
		}
		if day.Day() > 16 {
			calls += 560
		}
		w.count(subscription, day.Add(9*time.Hour), calls)
	}
	w.count(subscription, now.Add(-time.Hour), 130)
	head, err := w.store.Head(w.t.Context())
	must(w.t, err)
	must(w.t, engine.NewBarrier(w.pool, 20*time.Second).WaitFor(w.t.Context(), "usage", head))
}
