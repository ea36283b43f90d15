package console_test

import (
	"net/http"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

const wrongPassword = "Wrong-password-1"

// A reset proves whose the mail is, so it lifts what guessers have locked.
func TestResetLiftsTheLockOut(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	guesser := w.Client()
	for range 7 {
		guesser.Post("/console/login", "email", consoletest.MailAddress, "password", wrongPassword)
	}
	owner := w.Client()
	owner.Address = "192.0.2.77"
	owner.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(http.StatusTooManyRequests)
	owner.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(http.StatusOK)
	const reset = "Reset-password-3"
	link := w.MailedLink(consoletest.MailAddress, "Reset")
	owner.Post("/console/password/reset", "token", consoletest.TokenOf(t, link), "password", reset).Is(http.StatusOK)
	owner.Post("/console/login", "email", consoletest.MailAddress, "password", reset).Is(http.StatusOK).At("/console/dashboard")
}

// Whoever guesses from elsewhere, from the owner's own network too, does not lock the owner out of a browser that they have
// used, and has no more tries because of it.
func TestStrangersDoNotLockOutAKnownDevice(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	owner, guesser := w.Client(), w.Client()
	owner.Customer()
	owner.Post("/console/logout").Is(http.StatusOK)
	for n := range 50 {
		address := consoletest.MailAddress
		if n >= 10 { // until the network is locked out too
			address = "nobody@example.com"
		}
		guesser.Post("/console/login", "email", address, "password", wrongPassword)
		if n == 45 {
			break
		}
	}
	guesser.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(http.StatusTooManyRequests)
	owner.LogIn()
	guesser.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(http.StatusTooManyRequests)
	// The browser itself has no endless tries either.
	owner.Post("/console/logout").Is(http.StatusOK)
	for range 5 {
		owner.Post("/console/login", "email", consoletest.MailAddress, "password", wrongPassword).Is(http.StatusUnauthorized)
	}
	owner.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(http.StatusTooManyRequests)
}

func TestRegenerateIsLimited(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	regenerate := func() consoletest.Answer {
		var keys struct{ Keys []struct{ Prefix string } }
		b.Read("keys", &keys)
		return b.Command("keys/primary/regenerate", map[string]string{"replaces": keys.Keys[0].Prefix})
	}
	for range 10 {
		b.Command("keys/primary/regenerate", map[string]string{"replaces": "lc_other"}).Is(http.StatusConflict) // counts for nothing
	}
	for n := range 10 {
		if answer := regenerate(); answer.Status != http.StatusOK {
			t.Fatalf("the %dth is answered %d: %s", n+1, answer.Status, answer.Body)
		}
	}
	if refused := regenerate().Is(http.StatusTooManyRequests).Code("too_many_attempts"); refused.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to try again")
	}
}

// Requests of people who are nobody leave no rows behind.
func TestStrangersMakeNoSessions(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	count := func() (n int) {
		t.Helper()
		consoletest.Must(t, w.Pool.QueryRow(t.Context(), "select count(*) from sessions").Scan(&n))
		return n
	}
	before := count()
	for _, path := range []string{
		"/console/login", "/console/logout", "/console/password/forgot", "/console/password/reset", "/console/activate", "/console/activate/renew",
		"/console/activate/attach", "/console/invitation", "/console/email/confirm", "/console/onboarding", "/console/check-mail",
		"/console/check-mail/resend", "/marketplace/register", "/console/login/code", "/console/dashboard", "/console/api/session", "/console/nothing",
	} {
		w.Client().Get(path)
		w.Client().Post(path, "email", "nobody@example.com", "password", wrongPassword, "token", "none", "code", "123456", consoletest.TokenField, "none")
	}
	if after := count(); after != before {
		t.Errorf("%d sessions more than before", after-before)
	}
}

// A session that was left open is no way to find out its password: what is refused before the password is looked at forgives nothing.
func TestPasswordIsNotGuessedInASession(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	for range 5 {
		b.Command("account/email", map[string]string{"currentPassword": wrongPassword, "email": "no address"}).Is(http.StatusBadRequest).Code("invalid_request")
		b.Command("account/confirm", map[string]string{"currentPassword": wrongPassword}).Is(http.StatusBadRequest).Code("wrong_password")
	}
	b.Command("account/confirm", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusTooManyRequests)
}
