package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// What a session holds. A buyer's session has a subscription to onboard; a user's names their login, which is kept apart:
// noting its use in the session would let a request that is under way during a logout bring it back. None of it ever comes
// from a form but the customer, which is checked whenever it is used.
const (
	sessionLogin      = "login"
	sessionCustomer   = "customer" // that the user has chosen last
	sessionOnboarding = "onboarding"
	sessionMailedTo   = "mailed-to"
	sessionNotice     = "notice" // shown once, on the next page
)

func (c *console) newSessionManager() *scs.SessionManager {
	m := scs.New()
	m.Store = sealedSessions{c.Sessions}
	m.Lifetime = c.LoginLimits.Lifetime
	m.Cookie.Name = c.cookieName("liveness_session")
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Secure = c.secure()
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		c.fail(w, r, domain.ErrUnavailable.Saying("Your session cannot be read at the moment. Try again in a few seconds.").Because(err))
	}
	return m
}

// cookieName returns what a cookie is called where the address is https: no other host, not even below ours, can set it then.
func (c *console) cookieName(name string) string {
	if c.secure() {
		return "__Host-" + name
	}
	return name
}

var errLoggedOut = &domain.Error{Kind: domain.KindUnauthenticated, Code: "login_required", Message: "Your session has ended. Log in again."}

// login returns the account of who is logged in, or errLoggedOut: the login was ended, by a new password perhaps or from
// another device, or has lived its time.
func (c *console) login(r *http.Request) (uuid.UUID, error) {
	id := c.sessionID(r, sessionLogin)
	if id == uuid.Nil {
		return uuid.Nil, errLoggedOut
	}
	account, err := c.Logins.Use(r.Context(), id, c.clientAddress(r))
	if err != nil {
		return uuid.Nil, domain.ErrUnavailable.Because(err)
	}
	if account == uuid.Nil {
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

// beginSession makes the session the user's, under a new token: one that somebody planted before login is worthless. A
// password that is replaced after its check must not leave a login behind: either the replacement is seen once the login
// has begun, or it ends the login.
func (c *console) beginSession(r *http.Request, user accounts.LoggedIn) error {
	ctx := r.Context()
	login := Login{ID: uuid.New(), Account: user.AccountID, Browser: browserName(r), Address: c.clientAddress(r)}
	if err := c.Logins.Begin(ctx, login); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	err := c.Accounts.ConfirmLogin(ctx, accounts.ConfirmLogin{By: by(ctx, domain.ActorUser), User: user, Device: device(r)})
	if err == nil {
		err = c.leaveSession(r)
	}
	if err != nil {
		c.endLogin(r, login)
		return err
	}
	c.sessions.Put(ctx, sessionLogin, login.ID.String())
	return nil
}

// endLogin ends a login that has begun and cannot go on.
func (c *console) endLogin(r *http.Request, login Login) {
	if err := c.Logins.End(r.Context(), login.Account, login.ID); err != nil {
		c.Log.WarnContext(r.Context(), "a login that was refused stands in the list of sessions until it is over", "error", err)
	}
}

// leaveSession ends a session, and the login that it names: a request that is under way may write the session again. What is
// put into it from here on makes another, under another token.
func (c *console) leaveSession(r *http.Request) error {
	ctx := r.Context()
	switch account, err := c.login(r); {
	case err == nil:
		if err := c.Logins.End(ctx, account, c.sessionID(r, sessionLogin)); err != nil {
			return domain.ErrUnavailable.Because(err)
		}
	case !errors.Is(err, errLoggedOut):
		return err
	}
	if err := c.sessions.Destroy(ctx); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	return nil
}

func (c *console) closeSession(r *http.Request) {
	if err := c.sessions.Destroy(r.Context()); err != nil {
		c.Log.WarnContext(r.Context(), "session is not removed", "error", err)
	}
}

// endOtherLogins ends the logins of an account but the one of a request, which goes on under a new token and a new id. Whoever
// had copied the token before has nothing: a request that is under way may write the session under it again, and that names no
// login any more.
func (c *console) endOtherLogins(r *http.Request, account uuid.UUID) error {
	ctx := r.Context()
	own := c.sessionID(r, sessionLogin)
	if err := c.Logins.EndAll(ctx, account, own); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	if err := c.sessions.RenewToken(ctx); err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	renewed, err := c.Logins.Renew(ctx, own)
	if err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	c.sessions.Put(ctx, sessionLogin, renewed.String())
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
