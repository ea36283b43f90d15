package console

import (
	"context"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// sessionLifetime is how long a session lives: a working day. It does not depend on when the session was last used, for
// noting that would write the session on every request, and one that is under way during a logout would bring it back.
const sessionLifetime = 12 * time.Hour

// What a session holds. A buyer's session has a subscription to onboard; a user's has an account. Neither holds the
// registration token, and none of it ever comes from a form but the customer, which is checked whenever it is used.
const (
	sessionAccount    = "account"
	sessionCustomer   = "customer" // that the user has chosen last
	sessionGeneration = "generation"
	sessionOnboarding = "onboarding"
	sessionMailedTo   = "mailed-to"
	sessionNotice     = "notice" // shown once, on the next page
)

func (c *console) newSessionManager() *scs.SessionManager {
	m := scs.New()
	m.Store = c.Sessions
	m.Lifetime = sessionLifetime
	m.HashTokenInStore = true // who reads the database cannot take a session over
	m.Cookie.Name = "liveness_session"
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Secure = c.secure()
	if c.secure() {
		m.Cookie.Name = "__Host-" + m.Cookie.Name // no other host, not even below ours, can set it
	}
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		c.fail(w, r, domain.ErrUnavailable.Saying("Your session cannot be read at the moment. Try again in a few seconds.").Because(err))
	}
	return m
}

var errLoggedOut = &domain.Error{Kind: domain.KindUnauthenticated, Code: "login_required", Message: "Your session has ended. Log in again."}

// login returns the account of who is logged in, or errLoggedOut. A session of an older generation was closed by a new
// password or by "sign out everywhere".
func (c *console) login(r *http.Request) (uuid.UUID, error) {
	ctx := r.Context()
	account := c.sessionID(r, sessionAccount)
	if account == uuid.Nil {
		return uuid.Nil, errLoggedOut
	}
	generation, err := c.Generations.Current(ctx, account)
	if err != nil {
		return uuid.Nil, domain.ErrUnavailable.Because(err)
	}
	if generation != c.sessions.GetInt64(ctx, sessionGeneration) {
		c.closeSession(r)
		return uuid.Nil, errLoggedOut
	}
	return account, nil
}

func (c *console) sessionID(r *http.Request, name string) uuid.UUID {
	id, err := uuid.Parse(c.sessions.GetString(r.Context(), name))
	if err != nil {
		return uuid.Nil
	}
	return id
}

// beginSession makes the session the user's, under a new token: one that somebody planted before login is worthless.
func (c *console) beginSession(r *http.Request, user accounts.LoggedIn, generation int64) error {
	ctx := r.Context()
	if err := c.sessions.Clear(ctx); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	if err := c.sessions.RenewToken(ctx); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	c.sessions.Put(ctx, sessionAccount, user.AccountID.String())
	c.sessions.Put(ctx, sessionGeneration, generation)
	return nil
}

func (c *console) closeSession(r *http.Request) {
	if err := c.sessions.Destroy(r.Context()); err != nil {
		c.Log.WarnContext(r.Context(), "session is not removed", "error", err)
	}
}

// closeSessions closes all sessions of an account. One that is to go on takes over the generation that is returned.
func (c *console) closeSessions(ctx context.Context, account uuid.UUID) (int64, error) {
	generation, err := c.Generations.Raise(ctx, account)
	if err != nil {
		return 0, domain.ErrUnavailable.Because(err)
	}
	return generation, nil
}

// keepSession lets the user's own session go on after all were closed.
func (c *console) keepSession(r *http.Request, generation int64) error {
	if err := c.sessions.RenewToken(r.Context()); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	c.sessions.Put(r.Context(), sessionGeneration, generation)
	return nil
}

// sessionLoaded marks requests whose session can be read; asking scs for any other request's session panics.
type sessionLoaded struct{}

func markSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionLoaded{}, true)))
	})
}

// notice leaves a sentence for the next page.
func (c *console) notice(r *http.Request, text string) {
	c.sessions.Put(r.Context(), sessionNotice, text)
}

// takeNotice reads the notice of the last page, once.
func (c *console) takeNotice(r *http.Request) string {
	if r.Context().Value(sessionLoaded{}) == nil {
		return ""
	}
	return c.sessions.PopString(r.Context(), sessionNotice)
}
