package console_test

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	b.Activate()
	before := b.SessionCookie()
	b.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer := b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(303)
	cookie := answer.Header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie %q lacks %s", cookie, attribute)
		}
	}
	if before == "" || b.SessionCookie() == before {
		t.Error("login keeps the token of the session before it")
	}
	var inClear bool
	consoletest.Must(t, w.Pool.QueryRow(t.Context(), "select exists (select from sessions where token = $1)", b.SessionCookie()).Scan(&inClear))
	if inClear {
		t.Error("the database holds the token of a session in the clear")
	}
}

// What people have typed stands in their session, and nowhere in the database for others to read, also of a session that stays
// when its person is erased.
func TestSessionsTellTheDatabaseNothing(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	b.Get("/console/check-mail").Is(200).Says(consoletest.MailAddress) // the session knows it
	rows, err := w.Pool.Query(t.Context(), "select data from sessions")
	consoletest.Must(t, err)
	sessions, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	consoletest.Must(t, err)
	if len(sessions) != 1 {
		t.Fatalf("%d sessions", len(sessions))
	}
	if bytes.Contains(sessions[0], []byte(consoletest.MailAddress)) || bytes.Contains(sessions[0], []byte("onboarding")) {
		t.Errorf("the database holds of a session: %q", sessions[0])
	}
	_, err = w.Pool.Exec(t.Context(), "update sessions set data = $1", []byte("of an older program, or damaged"))
	consoletest.Must(t, err)
	b.Get("/console/check-mail").Is(200).Says("the address you entered")
}

var seconds = regexp.MustCompile(`in \d+ seconds?`)

func TestLoginTellsNothingOfAccounts(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	known, unknown := w.Client(), w.Client()
	known.Address, unknown.Address = "192.0.2.10", "192.0.2.11"
	for n := range 8 {
		a := known.Post("/console/login", "email", consoletest.MailAddress, "password", "Wrong-password-1")
		b := unknown.Post("/console/login", "email", "nobody@example.com", "password", "Wrong-password-1")
		if a.Status != b.Status || seconds.ReplaceAllString(a.Text(), "") != seconds.ReplaceAllString(b.Text(), "") {
			t.Fatalf("attempt %d: a known address is answered %d %q, an unknown one %d %q", n, a.Status, a.Text(), b.Status, b.Text())
		}
	}
	known.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200).Says("If ada@example.com belongs to an account")
	unknown.Post("/console/password/forgot", "email", "nobody@example.com").Is(200).Says("If nobody@example.com belongs to an account")
	unknown.Post("/console/password/forgot", "email", "").Is(400).Says("Enter the mail address")
}

func TestLockOut(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	guesser := w.Client()
	for range 5 {
		guesser.Post("/console/login", "email", consoletest.MailAddress, "password", "Wrong-password-1").Is(401).Says("not right")
	}
	guesser.Post("/console/login", "email", "ADA@example.com ", "password", consoletest.Password).Is(429).Says("Try again in")
	elsewhere := w.Client()
	elsewhere.Address = "192.0.2.99"
	elsewhere.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(429)
	guesser.Post("/console/login", "email", "someone@example.com", "password", "Wrong-password-1").Is(401)
}

func TestAttemptsAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	var guesses sync.WaitGroup
	statuses := make(chan int, 20)
	for range 20 {
		guesses.Go(func() {
			statuses <- w.Client().Post("/console/login", "email", consoletest.MailAddress, "password", "Wrong-password-1").Status
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
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	b.Activate()
	of := "?customer=" + uuid.NewString()
	for next, path := range map[string]string{
		"/console/plan": "/console/plan", "/console/plan" + of: "/console/plan" + of, "/console/checks/2026-11.7" + of: "/console/checks/2026-11.7" + of,
		"/console/explain/2026-11.7": "/console/explain/2026-11.7", "/console/replay/12" + of: "/console/replay/12" + of,
		"/console/plan?customer=1": "/console/dashboard", "/console/plan" + of + "&next=x": "/console/dashboard", "/console/replay/x": "/console/dashboard",
		"https://evil.example/console/plan" + of: "/console/dashboard", "https://evil.example/console/x": "/console/dashboard", "//evil.example/console/": "/console/dashboard",
		`/\evil.example`: "/console/dashboard", "/console/../../x": "/console/dashboard", "javascript:alert(1)": "/console/dashboard", "": "/console/dashboard",
	} {
		arrived := b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password, "next", next).Is(200)
		if got := strings.TrimSuffix(arrived.Path+"?"+arrived.Query, "?"); got != path {
			t.Errorf("from %q it leads to %q, want %q", next, got, path)
		}
		b.Post("/console/logout").Is(200).At("/console/login").Says("You are logged out")
	}
	if login := b.Get("/console/keys" + of).Is(200).At("/console/login"); login.Query != (url.Values{"next": {"/console/keys" + of}}).Encode() {
		t.Errorf("a link of a mail goes on after login at %q", login.Query)
	}
}

func TestNewPasswordClosesOtherSessions(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	here, there := w.Client(), w.Client()
	here.Customer()
	there.LogIn()
	const changed = "Changed-password-2"
	here.Command("account/password", map[string]string{"currentPassword": "Wrong-password-1", "password": changed}).Is(400).Code("wrong_password")
	here.Command("account/password", map[string]string{"currentPassword": consoletest.Password, "password": "weak"}).Is(400).Says("password needs")
	there.Get("/console/api/session").Is(200)
	here.Command("account/password", map[string]string{"currentPassword": consoletest.Password, "password": changed}).Is(200)
	here.Get("/console/api/session").Is(200)
	there.Get("/console/api/session").Is(401).Code("login_required")
	there.Get("/console/dashboard").At("/console/login")
	there.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(401)
	there.Command("login", map[string]string{"email": consoletest.MailAddress, "password": changed}).Is(200)
	there.Get("/console/api/session").Is(200)

	here.Command("account/sign-out-others", struct{}{}).Is(400).Code("wrong_password")
	there.Get("/console/api/session").Is(200)
	here.Command("account/sign-out-others", map[string]string{"currentPassword": changed}).Is(200)
	here.Get("/console/api/session").Is(200)
	there.Get("/console/api/session").Is(401)
	if _, ok := w.NewestMail(consoletest.MailAddress, "password was changed"); !ok {
		t.Error("the owner is not told of the new password")
	}
}

func TestPasswordReset(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	loggedIn := w.Client()
	loggedIn.Customer()
	b := w.Client()
	b.Post("/console/password/forgot", "email", " ADA@example.com").Is(200)
	link := w.MailedLink(consoletest.MailAddress, "Reset")
	b.Get(link).Is(200).Says("Choose a new password")
	b.Post("/console/password/reset", "token", consoletest.TokenOf(t, link), "password", "weak").Is(400).Says("password needs")
	loggedIn.Get("/console/api/session").Is(200)
	b.Post("/console/password/reset", "token", consoletest.TokenOf(t, link), "password", "Reset-password-3").Is(200).At("/console/login").Says("all sessions are signed out")
	loggedIn.Get("/console/api/session").Is(401)
	b.Get(link).Is(400).Says("does not work any more", "Ask for a new link")
	b.Post("/console/password/reset", "token", consoletest.TokenOf(t, link), "password", "Again-password-4").Is(400)
	b.Post("/console/login", "email", consoletest.MailAddress, "password", "Reset-password-3").Is(200).At("/console/dashboard")

	b.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200)
	link = w.MailedLink(consoletest.MailAddress, "Reset")
	w.Clock.Advance(domain.PasswordResetValidity)
	b.Get(link).Is(400).Says("has expired")
}

func TestResetMailsAreLimitedInSilence(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	b := w.Client()
	var asked sync.WaitGroup
	for range 10 {
		asked.Go(func() {
			b.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200).Says("is on its way")
		})
	}
	asked.Wait()
	all, err := w.Store.All()
	consoletest.Must(t, err)
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
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	var account struct{ CustomerID string }
	b.Read("account", &account)
	all, err := w.Store.All()
	consoletest.Must(t, err)
	for _, recorded := range all {
		if e, ok := recorded.Event.(domain.AccountActivated); ok {
			consoletest.Must(t, w.Accounts.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: commands.NewOrigin(domain.ActorOperator), CustomerID: e.CustomerID}))
		}
	}
	b.Get("/console/api/session").Is(401).Code("login_required")
	b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(401)
}

func TestEndedSession(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	_, err := w.Pool.Exec(t.Context(), "update sessions set expiry = $1", time.Now().Add(-time.Second))
	consoletest.Must(t, err)
	b.Get("/console/api/overview").Is(401).Code("login_required")
	b.Get("/console/keys").At("/console/login")
	b.Command("keys/primary/regenerate", map[string]string{"replaces": ""}).Is(401).Code("login_required")
}

func TestReadsUnderWayDoNotBringALogoutBack(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	var reads sync.WaitGroup
	for range 20 {
		reads.Go(func() { b.Get("/console/api/overview") })
	}
	b.Post("/console/logout").Is(200).At("/console/login")
	reads.Wait()
	b.Get("/console/api/overview").Is(401)
	var sessions int
	consoletest.Must(t, w.Pool.QueryRow(t.Context(), "select count(*) from sessions").Scan(&sessions))
	if sessions != 0 {
		t.Errorf("%d sessions are left", sessions)
	}
}

// Somebody whose mails do not arrive is told on every screen, until one does or the address is another.
func TestWhoseMailsDoNotArrive(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	problem := func() string {
		var session struct{ MailProblem string }
		b.Read("session", &session)
		return session.MailProblem
	}
	if got := problem(); got != "" {
		t.Errorf("says %q", got)
	}
	w.Mails.Refuse(&accounts.UndeliverableError{Cause: accounts.CauseFull, Answer: "552 5.2.2"})
	b.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200)
	w.NewestMail("", "")
	if got := problem(); got != "Your mail server refused it: the mailbox is full (552 5.2.2)." {
		t.Errorf("says %q", got)
	}
	w.Mails.Refuse(nil)
	b.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200)
	w.NewestMail("", "")
	if got := problem(); got != "" {
		t.Errorf("says %q", got)
	}
}

// Who logs in from a browser that the account does not know is told by mail, once per browser; the first browser of all is not
// told of.
func TestLoginFromAnUnknownDevice(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	first := w.Client()
	first.Customer()
	told := func(want int) {
		t.Helper()
		w.NewestMail("", "")
		n := 0
		for _, mail := range w.Mails.Sent() {
			if mail.Kind == accounts.MailKindNewDevice && mail.To == consoletest.MailAddress {
				n++
			}
		}
		if n != want {
			t.Errorf("told %d times, want %d", n, want)
		}
	}
	told(0)
	first.Post("/console/logout").Is(200)
	first.LogIn()
	told(0)
	second := w.Client()
	second.Post("/console/login", "email", consoletest.MailAddress, "password", "Wrong-password-1").Is(401)
	told(0)
	second.LogIn()
	told(1)
	second.Post("/console/logout").Is(200)
	second.LogIn()
	told(1)
	forged := w.Client()
	at, err := url.Parse(w.URL)
	consoletest.Must(t, err)
	forged.HTTP.Jar.SetCookies(at, []*http.Cookie{{Name: "liveness_device", Value: strings.Repeat("x", 4000), Path: "/"}})
	forged.LogIn()
	told(2)
	var activity struct{ Entries []struct{ Summary string } }
	second.Read("activity", &activity)
	n := 0
	for _, entry := range activity.Entries {
		if entry.Summary == "First login from this browser." {
			n++
		}
	}
	if n != 3 {
		t.Errorf("the activity names %d browsers: %+v", n, activity)
	}
	all, err := w.Store.All()
	consoletest.Must(t, err)
	for _, recorded := range all {
		if e, ok := recorded.Event.(domain.DeviceFirstUsed); ok {
			for _, cookie := range second.HTTP.Jar.Cookies(at) {
				if cookie.Name != "liveness_followed" && strings.Contains(e.Device, cookie.Value) {
					t.Error("the log holds what a browser is known by")
				}
			}
		}
	}
}
