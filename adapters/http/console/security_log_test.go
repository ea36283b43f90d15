package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands/memorystore"
)

// Attacks on the console leave a line each, and no line tells who was attacked or by whom.
func TestAttacksOnTheConsoleAreWrittenDown(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	owner := w.Client()
	owner.Address = "192.0.2.200"
	owner.Customer()
	if lines := w.Security.String(); lines != "" {
		t.Errorf("what is no attack is written down:\n%s", lines)
	}
	from := func(address string) *consoletest.Client {
		c := w.Client()
		c.Address = address
		return c
	}
	from("203.0.113.1").Post("/console/login", "email", consoletest.MailAddress, "password", wrongPassword)
	from("203.0.114.1").Post("/console/login", "email", "nobody@example.com", "password", wrongPassword)
	for range 5 {
		from("203.0.115.1").Post("/console/login", "email", consoletest.MailAddress, "password", wrongPassword)
	}
	foreign := from("203.0.116.1")
	foreign.Origin = "https://evil.example"
	foreign.Post("/console/login", "email", consoletest.MailAddress, "password", wrongPassword).Is(http.StatusForbidden)
	for _, path := range []string{"activate", "password/reset", "invitation", "email/confirm"} {
		from("203.0.117.1").Get("/console/" + path + "?token=forged")
	}
	owner.Command("account/confirm", map[string]string{"currentPassword": wrongPassword}).Is(http.StatusBadRequest)
	for range 7 {
		from("203.0.118.1").Post("/console/password/forgot", "email", "nobody@example.com")
	}
	lines := w.Security.String()
	for _, want := range []string{
		"event=login_failed network=203.0.113.0/24", "event=login_failed network=203.0.114.0/24", "event=login_throttled network=203.0.115.0/24",
		"event=cross_origin network=203.0.116.0/24", "event=link_refused network=203.0.117.0/24", "link=verification code=link_invalid",
		"event=password_failed network=192.0.2.0/24", "event=limit_hit network=203.0.118.0/24", "limit=mail-account",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q is missing in\n%s", want, lines)
		}
	}
	for _, clear := range []string{consoletest.MailAddress, "nobody@", wrongPassword, "203.0.113.1 ", "192.0.2.200", "forged"} {
		if strings.Contains(lines, clear) {
			t.Errorf("%q stands in the clear in\n%s", clear, lines)
		}
	}
}

// Whether an address is known is told by no page, whatever state it is in and whether or not the log can be written.
func TestNothingTellsWhetherAnAddressIsKnown(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	w.Store.Inject(func(o memorystore.Operation) memorystore.Fault {
		if o.Kind == memorystore.Append {
			return memorystore.UnavailableBefore
		}
		return memorystore.None
	})
	defer w.Store.Inject(nil)
	same := func(path string, fields ...string) {
		t.Helper()
		known := w.Client().Post(path, append(fields, "email", consoletest.MailAddress)...)
		unknown := w.Client().Post(path, append(fields, "email", "nobody@example.com")...)
		known.Body = strings.ReplaceAll(known.Body, consoletest.MailAddress, "nobody@example.com")
		if known.Status != unknown.Status || known.Text() != unknown.Text() {
			t.Errorf("%s: a known address is answered %d %q, an unknown one %d %q", path, known.Status, known.Text(), unknown.Status, unknown.Text())
		}
	}
	same("/console/password/forgot")
	same("/console/login", "password", wrongPassword)
}

// Registering with an address that has a login looks like any other.
func TestRegistrationTellsNothingOfAccounts(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	var pages []string
	for _, address := range []string{consoletest.MailAddress, "nobody@example.com"} {
		b := w.Client()
		token, _ := w.Market.Sell("starter", 1)
		b.Post("/marketplace/register", consoletest.TokenField, token).Is(http.StatusOK)
		page := b.Post("/console/onboarding", consoletest.OnboardingForm("email", address)...).Is(http.StatusOK).At("/console/check-mail")
		pages = append(pages, strings.ReplaceAll(page.Text(), address, "…"))
	}
	if pages[0] != pages[1] {
		t.Errorf("a known address is answered\n%s\nan unknown one\n%s", pages[0], pages[1])
	}
}
