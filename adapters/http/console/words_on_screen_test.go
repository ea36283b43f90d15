package console_test

import (
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// TestActivityNamesNobodyWhoIsNotKnown: at the login page anybody can be; and numbers are written as everywhere else.
func TestActivityNamesNobodyWhoIsNotKnown(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	stranger := w.Client()
	stranger.Address = "198.51.100.7"
	stranger.Post("/console/login", "email", consoletest.MailAddress, "password", "not it").Is(401)
	stranger.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200)
	link := w.MailedLink(consoletest.MailAddress, "Reset")
	stranger.Post("/console/password/reset", "token", link[strings.Index(link, "token=")+len("token="):], "password", consoletest.Password+"!").Is(200)
	b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password+"!").Is(200).At("/console/dashboard")
	w.Settled()
	type entry struct {
		Kind, Actor, By, Summary string
		You                      bool
	}
	var activity struct{ Entries []entry }
	b.Read("activity", &activity)
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

// TestConsoleWithoutScripts says at the top what it needs, and nothing that is not so.
func TestConsoleWithoutScripts(t *testing.T) {
	t.Parallel()
	b := consoletest.New(t).Client()
	b.Customer()
	page := b.Get("/console/dashboard").Is(200).Says("needs JavaScript")
	if said, app := strings.Index(page.Body, "<noscript>"), strings.Index(page.Body, `id="app"`); said < 0 || said > app {
		t.Error("it is not said at the top")
	}
	if strings.Contains(page.Text(), "Everything it shows") {
		t.Error("GET /v1/usage does not show everything")
	}
}
