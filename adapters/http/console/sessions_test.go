package console_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

type openSessions struct {
	Sessions []struct {
		ID, Browser, Address string
		You                  bool
	}
}

func TestListOfSessions(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	here, there, third := w.Client(), w.Client(), w.Client()
	there.Agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	there.Address, third.Address = "198.51.100.7", "2001:db8::7"
	here.Customer()
	there.LogIn()
	third.LogIn()
	var open openSessions
	here.Read("account/sessions", &open)
	if len(open.Sessions) != 3 {
		t.Fatalf("%+v", open)
	}
	var firefox string
	for _, s := range open.Sessions {
		if s.You != (s.Address == here.Address) {
			t.Errorf("which session is this one? %+v", s)
		}
		if s.Address == there.Address {
			firefox = s.ID
			if s.Browser != "Firefox on Linux" {
				t.Errorf("a browser is called %q", s.Browser)
			}
		}
	}
	end := "account/sessions/" + firefox + "/end"
	here.Command(end, map[string]string{"currentPassword": wrongPassword}).Is(http.StatusBadRequest).Code("wrong_password")
	here.Command("account/sessions/none/end", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusBadRequest)
	there.Get("/console/api/session").Is(http.StatusOK)
	here.Command(end, map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusOK)
	there.Get("/console/api/session").Is(http.StatusUnauthorized).Code("login_required")
	third.Get("/console/api/session").Is(http.StatusOK)
	third.Post("/console/logout")
	here.Read("account/sessions", &open)
	if len(open.Sessions) != 1 || !open.Sessions[0].You {
		t.Errorf("left over: %+v", open)
	}
}

// Nobody ends, or sees, the sessions of somebody else.
func TestSessionsOfSomebodyElse(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	grace, _ := ada.Invite(ada.Session("").Customer, "owner")
	var hers, his openSessions
	ada.Read("account/sessions", &hers)
	grace.Read("account/sessions", &his)
	if len(hers.Sessions) != 1 || len(his.Sessions) != 1 || hers.Sessions[0].ID == his.Sessions[0].ID {
		t.Fatalf("%+v and %+v", hers, his)
	}
	grace.Command("account/sessions/"+hers.Sessions[0].ID+"/end", map[string]string{"currentPassword": consoletest.Password})
	ada.Get("/console/api/session").Is(http.StatusOK)
}

func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	older := func(column, by string) {
		t.Helper()
		_, err := w.Pool.Exec(t.Context(), "update console_logins set "+column+" = "+column+" - $1::interval", by)
		consoletest.Must(t, err)
	}
	older("used_at", "29 minutes")
	b.Get("/console/api/session").Is(http.StatusOK)
	older("used_at", "29 minutes") // its use was noted
	b.Get("/console/api/session").Is(http.StatusOK)
	older("used_at", "31 minutes")
	b.Get("/console/api/session").Is(http.StatusUnauthorized).Code("login_required")
	b.LogIn()
	older("began_at", "11 hours 59 minutes")
	b.Get("/console/api/session").Is(http.StatusOK)
	older("began_at", "2 minutes")
	b.Get("/console/api/session").Is(http.StatusUnauthorized).Code("login_required")
	b.LogIn()
	var rows int
	consoletest.Must(t, w.Pool.QueryRow(t.Context(), "select count(*) from console_logins").Scan(&rows))
	if rows != 1 {
		t.Errorf("%d logins are kept, two of which are over", rows-1)
	}
}

// Who goes on working is not logged out by a limit of minutes.
func TestUseUnderAShortLimit(t *testing.T) {
	t.Parallel()
	pool := consoletest.Database(t)
	logins := console.NewPostgresLogins(pool, console.LoginLimits{Idle: time.Minute, Lifetime: time.Hour})
	login := console.Login{ID: uuid.New(), Account: uuid.New(), Address: "192.0.2.1"}
	consoletest.Must(t, logins.Begin(t.Context(), login))
	for range 3 {
		_, err := pool.Exec(t.Context(), "update console_logins set used_at = used_at - interval '40 seconds'")
		consoletest.Must(t, err)
		account, err := logins.Use(t.Context(), login.ID, login.Address)
		consoletest.Must(t, err)
		if account != login.Account {
			t.Fatalf("used 40 s ago, and it is over: %v", account)
		}
	}
}

// copied is a browser that has the session of another.
func copied(t *testing.T, w *consoletest.World, of *consoletest.Client) *consoletest.Client {
	t.Helper()
	site, err := url.Parse(w.URL)
	consoletest.Must(t, err)
	thief := w.Client()
	thief.Address = "192.0.2.66"
	thief.HTTP.Jar.SetCookies(site, of.HTTP.Jar.Cookies(site))
	thief.Get("/console/api/session").Is(http.StatusOK)
	return thief
}

// A request that is under way while the session gets another token writes it under the one before again. That token is good for
// nothing then, whoever has copied it.
func TestCopiedSessionsEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end     func(t *testing.T, w *consoletest.World, b *consoletest.Client)
		goesOn  bool
		secured bool
	}{
		"others are signed out": {goesOn: true, end: func(_ *testing.T, _ *consoletest.World, b *consoletest.Client) {
			b.Command("account/sign-out-others", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusOK)
		}},
		"new password": {goesOn: true, end: func(_ *testing.T, _ *consoletest.World, b *consoletest.Client) {
			b.Command("account/password", map[string]string{"currentPassword": consoletest.Password, "password": "Changed-password-2"}).Is(http.StatusOK)
		}},
		"new second factor":             {goesOn: true, end: func(t *testing.T, w *consoletest.World, b *consoletest.Client) { secured(t, w, b) }},
		"new login":                     {goesOn: true, end: func(_ *testing.T, _ *consoletest.World, b *consoletest.Client) { b.LogIn() }},
		"login that waits for its code": {secured: true, end: func(_ *testing.T, _ *consoletest.World, b *consoletest.Client) { enterPassword(b) }},
		"logout": {end: func(_ *testing.T, _ *consoletest.World, b *consoletest.Client) {
			b.Post("/console/logout").Is(http.StatusOK)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := consoletest.New(t)
			b := w.Client()
			b.Customer()
			if test.secured {
				secured(t, w, b)
			}
			thief := copied(t, w, b)
			for _, statement := range []string{
				"create table sessions_under_way as select * from sessions", "update console_logins set confirmed_at = clock_timestamp() - interval '2 hours'",
			} {
				_, err := w.Pool.Exec(t.Context(), statement)
				consoletest.Must(t, err)
			}
			test.end(t, w, b)
			written, err := w.Pool.Exec(t.Context(), "insert into sessions select * from sessions_under_way")
			consoletest.Must(t, err)
			if written.RowsAffected() != 1 {
				t.Fatalf("%d sessions are written again", written.RowsAffected())
			}
			thief.Get("/console/api/session").Is(http.StatusUnauthorized).Code("login_required")
			if !test.goesOn {
				b.Get("/console/api/session").Is(http.StatusUnauthorized)
				return
			}
			b.Command("plan/overage", map[string]string{"to": "stop"}).Is(http.StatusOK) // the password was given just now
			var open openSessions
			b.Read("account/sessions", &open)
			if len(open.Sessions) != 1 || !open.Sessions[0].You {
				t.Errorf("open: %+v", open)
			}
		})
	}
}

// Whoever logs in with an account of their own over a copied session does not keep it under another token.
func TestCopiedSessionIsNotKeptByALoginOverIt(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	grace, _ := ada.Invite(ada.Session("").Customer, "reader")
	secured(t, w, grace)
	thief := copied(t, w, ada)
	thief.HTTP.Transport = &http.Transport{ExpectContinueTimeout: time.Minute}
	t.Cleanup(thief.HTTP.CloseIdleConnections)

	body, form := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/console/login", body)
	consoletest.Must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	request.Header.Set("Expect", "100-continue") // the body is read when the handler asks for it, and has loaded the session
	answered := make(chan error, 1)
	go func() {
		answer, err := thief.HTTP.Do(request)
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	typed := url.Values{"email": {consoletest.GraceAddress}, "password": {consoletest.Password}}.Encode()
	_, err = io.WriteString(form, typed[:1])
	consoletest.Must(t, err)
	ada.Command("account/sign-out-others", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusOK)
	_, err = io.Copy(form, strings.NewReader(typed[1:]))
	consoletest.Must(t, err)
	consoletest.Must(t, form.Close())
	consoletest.Must(t, <-answered)
	thief.Get("/console/login/code").Is(http.StatusOK).At("/console/login/code")
	thief.Get("/console/api/session").Is(http.StatusUnauthorized).Code("login_required")
	ada.Get("/console/api/session").Is(http.StatusOK)
}

// An hour after the password was given, what could harm the customer needs it again; everything else goes on.
func TestStepUp(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	keys := b.Customer()
	later := func(by string) {
		t.Helper()
		_, err := w.Pool.Exec(t.Context(), "update console_logins set confirmed_at = clock_timestamp() - $1::interval", by)
		consoletest.Must(t, err)
	}
	later("59 minutes")
	b.Command("plan/overage", map[string]string{"to": "stop"}).Is(http.StatusOK)
	later("60 minutes")
	for path, body := range map[string]any{
		"keys/primary/regenerate": map[string]string{"replaces": keys["primary"][:8]},
		"plan/overage":            map[string]string{"to": "continue"},
		"people/invite":           map[string]string{"email": consoletest.GraceAddress, "role": "owner"},
	} {
		b.Command(path, body).Is(http.StatusForbidden).Code("password_required")
	}
	b.Command("keys/primary/name", map[string]string{"name": "website"}).Is(http.StatusOK)
	b.Command("account/confirm", map[string]string{"currentPassword": wrongPassword}).Is(http.StatusBadRequest).Code("wrong_password")
	b.Command("plan/overage", map[string]string{"to": "continue"}).Is(http.StatusForbidden)
	b.Command("account/confirm", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusOK)
	b.Command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).Is(http.StatusOK)
	b.Command("plan/overage", map[string]string{"to": "continue"}).Is(http.StatusOK)
}
