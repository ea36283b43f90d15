package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

func (b *browser) sessionCookie() string {
	site, err := url.Parse(b.w.url)
	must(b.w.t, err)
	for _, cookie := range b.client.Jar.Cookies(site) {
		if strings.Contains(cookie.Name, "session") {
			return cookie.Value
		}
	}
	return ""
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	b.activate()
	before := b.sessionCookie()
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer := b.post("/console/login", "email", mailAddress, "password", password).is(303)
	cookie := answer.header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie %q lacks %s", cookie, attribute)
		}
	}
	if before == "" || b.sessionCookie() == before {
		t.Error("login keeps the token of the session before it")
	}
	var inClear bool
	must(t, w.pool.QueryRow(t.Context(), "select exists (select from sessions where token = $1)", b.sessionCookie()).Scan(&inClear))
	if inClear {
		t.Error("the database holds the token of a session in the clear")
	}
}

var seconds = regexp.MustCompile(`in \d+ seconds?`)

func TestLoginTellsNothingOfAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().customer()
	known, unknown := w.browser(), w.browser()
	known.address, unknown.address = "192.0.2.10", "192.0.2.11"
	for n := range 8 {
		a := known.post("/console/login", "email", mailAddress, "password", "Wrong-password-1")
		b := unknown.post("/console/login", "email", "nobody@example.com", "password", "Wrong-password-1")
		if a.status != b.status || seconds.ReplaceAllString(a.text(), "") != seconds.ReplaceAllString(b.text(), "") {
			t.Fatalf("attempt %d: a known address is answered %d %q, an unknown one %d %q", n, a.status, a.text(), b.status, b.text())
		}
	}
	known.post("/console/password/forgot", "email", mailAddress).is(200).says("If ada@example.com belongs to an account")
	unknown.post("/console/password/forgot", "email", "nobody@example.com").is(200).says("If nobody@example.com belongs to an account")
	unknown.post("/console/password/forgot", "email", "").is(400).says("Enter the mail address")
}

func TestLockOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().customer()
	guesser := w.browser()
	for range 5 {
		guesser.post("/console/login", "email", mailAddress, "password", "Wrong-password-1").is(401).says("not right")
	}
	guesser.post("/console/login", "email", "ADA@example.com ", "password", password).is(429).says("Try again in")
	elsewhere := w.browser()
	elsewhere.address = "192.0.2.99"
	elsewhere.post("/console/login", "email", mailAddress, "password", password).is(429)
	guesser.post("/console/login", "email", "someone@example.com", "password", "Wrong-password-1").is(401)
}

func TestAttemptsAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().customer()
	var guesses sync.WaitGroup
	statuses := make(chan int, 20)
	for range 20 {
		guesses.Go(func() {
			statuses <- w.browser().post("/console/login", "email", mailAddress, "password", "Wrong-password-1").status
		})
	}
	guesses.Wait()
	close(statuses)
	tried := 0
	for status := range statuses {
		if status == http.StatusUnauthorized {
			tried++
		}
	}
	if tried > 5 {
		t.Errorf("%d of 20 guesses at once were looked at", tried)
	}
}

func TestLoginGoesOnlyToTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	b.activate()
	for next, path := range map[string]string{
		"/console/plan": "/console/plan", "https://evil.example/console/x": "/console/dashboard", "//evil.example/console/": "/console/dashboard",
		`/\evil.example`: "/console/dashboard", "/console/../../x": "/console/dashboard", "javascript:alert(1)": "/console/dashboard", "": "/console/dashboard",
	} {
		b.post("/console/login", "email", mailAddress, "password", password, "next", next).is(200).at(path)
		b.post("/console/logout").is(200).at("/console/login").says("You are logged out")
	}
	b.get("/console/keys").is(200).at("/console/login")
}

func TestNewPasswordClosesOtherSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here, there := w.browser(), w.browser()
	here.customer()
	there.logIn()
	const changed = "Changed-password-2"
	here.command("account/password", map[string]string{"currentPassword": "Wrong-password-1", "password": changed}).is(400).code("wrong_password")
	here.command("account/password", map[string]string{"currentPassword": password, "password": "weak"}).is(400).says("password needs")
	there.get("/console/api/session").is(200)
	here.command("account/password", map[string]string{"currentPassword": password, "password": changed}).is(200)
	here.get("/console/api/session").is(200)
	there.get("/console/api/session").is(401).code("login_required")
	there.get("/console/dashboard").at("/console/login")
	there.post("/console/login", "email", mailAddress, "password", password).is(401)
	there.command("login", map[string]string{"email": mailAddress, "password": changed}).is(200)
	there.get("/console/api/session").is(200)

	here.command("account/sign-out-others", struct{}{}).is(200)
	here.get("/console/api/session").is(200)
	there.get("/console/api/session").is(401)
	if _, ok := w.newestMail(mailAddress, "password was changed"); !ok {
		t.Error("the owner is not told of the new password")
	}
}

func TestPasswordReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loggedIn := w.browser()
	loggedIn.customer()
	b := w.browser()
	b.post("/console/password/forgot", "email", " ADA@example.com").is(200)
	link := w.mailedLink(mailAddress, "Reset")
	b.get(link).is(200).says("Choose a new password")
	b.post("/console/password/reset", "token", tokenOf(t, link), "password", "weak").is(400).says("password needs")
	loggedIn.get("/console/api/session").is(200)
	b.post("/console/password/reset", "token", tokenOf(t, link), "password", "Reset-password-3").is(200).at("/console/login").says("all sessions are signed out")
	loggedIn.get("/console/api/session").is(401)
	b.get(link).is(400).says("does not work any more", "Ask for a new link")
	b.post("/console/password/reset", "token", tokenOf(t, link), "password", "Again-password-4").is(400)
	b.post("/console/login", "email", mailAddress, "password", "Reset-password-3").is(200).at("/console/dashboard")

	b.post("/console/password/forgot", "email", mailAddress).is(200)
	link = w.mailedLink(mailAddress, "Reset")
	w.clock.advance(domain.PasswordResetValidity)
	b.get(link).is(400).says("has expired")
}

func TestResetMailsAreLimitedInSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().customer()
	b := w.browser()
	var asked sync.WaitGroup
	for range 10 {
		asked.Go(func() { b.post("/console/password/forgot", "email", mailAddress).is(200).says("is on its way") })
	}
	asked.Wait()
	all, err := w.store.All()
	must(t, err)
	requests := 0
	for _, recorded := range all {
		if _, ok := recorded.Event.(domain.PasswordResetRequested); ok {
			requests++
		}
	}
	if requests == 0 || requests > 5 {
		t.Errorf("ten requests led to %d mails", requests)
	}
}

func TestErasedAccountIsLoggedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	var account struct{ CustomerID string }
	b.read("account", &account)
	all, err := w.store.All()
	must(t, err)
	for _, recorded := range all {
		if e, ok := recorded.Event.(domain.AccountActivated); ok {
			must(t, w.accounts.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: commands.NewOrigin(domain.ActorOperator), CustomerID: e.CustomerID}))
		}
	}
	b.get("/console/api/session").is(401).code("login_required")
	b.post("/console/login", "email", mailAddress, "password", password).is(401)
}

func TestEndedSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	_, err := w.pool.Exec(t.Context(), "update sessions set expiry = $1", time.Now().Add(-time.Second))
	must(t, err)
	b.get("/console/api/overview").is(401).code("login_required")
	b.get("/console/keys").at("/console/login")
	b.command("keys/primary/regenerate", map[string]string{"replaces": ""}).is(401).code("login_required")
}

func TestReadsUnderWayDoNotBringALogoutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	var reads sync.WaitGroup
	for range 20 {
		reads.Go(func() { b.get("/console/api/overview") })
	}
	b.post("/console/logout").is(200).at("/console/login")
	reads.Wait()
	b.get("/console/api/overview").is(401)
	var sessions int
	must(t, w.pool.QueryRow(t.Context(), "select count(*) from sessions where position('customer' in encode(data, 'escape')) > 0").Scan(&sessions))
	if sessions != 0 {
		t.Errorf("%d sessions of the customer are left", sessions)
	}
}

// Somebody whose mails do not arrive is told on every screen, until one does or the address is another.
func TestWhoseMailsDoNotArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	problem := func() string {
		var session struct{ MailProblem string }
		b.read("session", &session)
		return session.MailProblem
	}
	if got := problem(); got != "" {
		t.Errorf("says %q", got)
	}
	w.mails.refuse(&accounts.UndeliverableError{Cause: accounts.CauseFull, Answer: "552 5.2.2"})
	b.post("/console/password/forgot", "email", mailAddress).is(200)
	w.newestMail("", "")
	if got := problem(); got != "Your mail server refused it: the mailbox is full (552 5.2.2)." {
		t.Errorf("says %q", got)
	}
	w.mails.refuse(nil)
	b.post("/console/password/forgot", "email", mailAddress).is(200)
	w.newestMail("", "")
	if got := problem(); got != "" {
		t.Errorf("says %q", got)
	}
}

// Who logs in from a browser that the account does not know is told by mail, once per browser; the first browser of all is not
// told of.
func TestLoginFromAnUnknownDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.browser()
	first.customer()
	told := func(want int) {
		t.Helper()
		w.newestMail("", "")
		w.mails.mu.Lock()
		defer w.mails.mu.Unlock()
		n := 0
		for _, mail := range w.mails.mails {
			if mail.Kind == accounts.MailKindNewDevice && mail.To == mailAddress {
				n++
			}
		}
		if n != want {
			t.Errorf("told %d times, want %d", n, want)
		}
	}
	told(0)
	first.post("/console/logout").is(200)
	first.logIn()
	told(0)
	second := w.browser()
	second.post("/console/login", "email", mailAddress, "password", "Wrong-password-1").is(401)
	told(0)
	second.logIn()
	told(1)
	second.post("/console/logout").is(200)
	second.logIn()
	told(1)
	forged := w.browser()
	at, err := url.Parse(w.url)
	must(t, err)
	forged.client.Jar.SetCookies(at, []*http.Cookie{{Name: "liveness_device", Value: strings.Repeat("x", 4000), Path: "/"}})
	forged.logIn()
	told(2)
	var activity struct{ Entries []struct{ Summary string } }
	second.read("activity", &activity)
	n := 0
	for _, entry := range activity.Entries {
		if entry.Summary == "First login from this browser." {
			n++
		}
	}
	if n != 3 {
		t.Errorf("the activity names %d browsers: %+v", n, activity)
	}
	all, err := w.store.All()
	must(t, err)
	for _, recorded := range all {
		if e, ok := recorded.Event.(domain.DeviceFirstUsed); ok {
			for _, cookie := range second.client.Jar.Cookies(at) {
				if strings.Contains(e.Device, cookie.Value) {
					t.Error("the log holds what a browser is known by")
				}
			}
		}
	}
}
