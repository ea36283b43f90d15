package console_test

import (
	"strings"
	"testing"
)

// TestEndedSubscription: its keys do not work and nothing can be done with them; buying again is a link.
func TestEndedSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person("keys")
	w.end(w.bought())
	w.settled()
	b.Open(w.url + "/console/keys")
	b.Await("the keys are shown as ended", "[...document.querySelectorAll('.key .badge')].map((e) => e.innerText).join() === 'Ended,Ended'")
	if b.Holds("document.querySelector('#regenerate-primary, #regenerate-secondary') || document.querySelector('main').innerText.includes('Active')") {
		t.Errorf("the screen says:\n%s", b.Text("main"))
	}
	b.Await("buying again is a link", "[...document.querySelectorAll('main a')].some((e) => e.innerText === 'Subscribe again' && e.href === 'https://aws.amazon.com/marketplace/')")
	b.Screen("84-keys-of-an-ended-subscription")
}

// TestActivityNamesNobodyWhoIsNotKnown: at the login page anybody can be; and numbers are written as everywhere else.
func TestActivityNamesNobodyWhoIsNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	stranger := w.browser()
	stranger.address = "198.51.100.7"
	stranger.post("/console/login", "email", mailAddress, "password", "not it").is(401)
	stranger.post("/console/password/forgot", "email", mailAddress).is(200)
	link := w.mailedLink(mailAddress, "Reset")
	stranger.post("/console/password/reset", "token", link[strings.Index(link, "token=")+len("token="):], "password", password+"!").is(200)
	b.post("/console/login", "email", mailAddress, "password", password+"!").is(200).at("/console/dashboard")
	w.settled()
	type entry struct {
		Kind, Actor, By, Summary string
		You                      bool
	}
	var activity struct{ Entries []entry }
	b.read("activity", &activity)
	seen := map[string]entry{}
	for _, e := range activity.Entries {
		if _, newer := seen[e.Kind]; !newer {
			seen[e.Kind] = e
		}
	}
	for kind, actor := range map[string]string{"LoginFailed": "login page", "PasswordResetRequested": "login page", "PasswordSet": "mailed link"} {
		if e := seen[kind]; e.You || e.By != "" || e.Actor != actor {
			t.Errorf("%s: %+v, want nobody, at the %s", kind, e, actor)
		}
	}
	if e := seen["LoginSucceeded"]; !e.You {
		t.Errorf("the login: %+v", e)
	}
	if summary := seen["SubscriptionStarted"].Summary; !strings.Contains(summary, "1,000 calls") {
		t.Errorf("a number without separators: %s", summary)
	}
}

// TestNumbersHaveSeparators on every screen.
func TestNumbersHaveSeparators(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person("dashboard")
	w.used(1203)
	for _, screen := range screenNames {
		b.Open(w.url + "/console/" + screen)
		b.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
		if screen == "dashboard" || screen == "usage" {
			b.Await("the chart is there", "document.querySelector('.chart canvas')")
		}
		if bare := b.Value(`[...document.querySelectorAll("main :is(p, td, th, dd, span, strong, li)")].filter((e) => e.children.length === 0 && !e.closest(".mono, code, time"))
			.map((e) => e.textContent).filter((t) => /(?<![\d.,-])\d{4,}(?!-\d)/.test(t.replace(/\b20\d\d\b/g, ""))).join("; ")`); bare != "" {
			t.Errorf("%s: %s", screen, bare)
		}
	}
	b.Open(w.url + "/console/usage")
	b.Await("the likelihood is of something", "[...document.querySelectorAll('th')].some((e) => e.innerText === 'Fake likelihood')")
}

// TestConsoleWithoutScripts says at the top what it needs, and nothing that is not so.
func TestConsoleWithoutScripts(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	b.customer()
	page := b.get("/console/dashboard").is(200).says("needs JavaScript")
	if said, app := strings.Index(page.body, "<noscript>"), strings.Index(page.body, `id="app"`); said < 0 || said > app {
		t.Error("it is not said at the top")
	}
	if strings.Contains(page.text(), "Everything it shows") {
		t.Error("GET /v1/usage does not show everything")
	}
}
