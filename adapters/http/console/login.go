package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// fromLogout marks a login page that somebody was sent to who has logged out. A notice would make a session for whoever asks.
const fromLogout = "logout"

// accountName is what the security log calls an account, by the address that is typed or by its id.
const accountName = "account"

func loginPage(values map[string]string) page {
	return page{Title: "Log in", Form: form{Values: values}}
}

func (c *console) showLogin(w http.ResponseWriter, r *http.Request) {
	if _, err := c.login(r); err == nil {
		http.Redirect(w, r, localPath(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	p := loginPage(map[string]string{"next": r.URL.Query().Get("next"), "email": c.sessions.GetString(r.Context(), sessionMailedTo)})
	switch r.URL.Query().Get("from") {
	case fromMarketplace:
		p.Notice = "Your subscription already has an account. Log in with its mail address."
	case fromLogout:
		p.Notice = "You are logged out."
	}
	c.render(w, r, http.StatusOK, "login", p)
}

func (c *console) logIn(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "email", "password", "next")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	next := localPath(values["next"])
	err = c.authenticate(r, values["email"], values["password"], "")
	switch {
	case errors.Is(err, errCodeNeeded):
		c.awaitCode(w, r, next)
	case err != nil:
		delete(values, "password")
		c.refuse(w, r, "login", loginPage(values), err)
	default:
		http.Redirect(w, r, next, http.StatusSeeOther)
	}
}

// loginRefusalTime is how long a refused login takes at least, so that noting the failure of an account that exists takes
// no longer than finding none.
const loginRefusalTime = 250 * time.Millisecond

// authenticate logs a person in and begins the session; errCodeNeeded when that waits for a code of their second factor.
func (c *console) authenticate(r *http.Request, email, password, code string) error {
	refusal := time.Now().Add(loginRefusalTime)
	err := c.tryLogin(r, email, password, code)
	if err != nil && !errors.Is(err, errCodeNeeded) {
		noSoonerThan(r.Context(), refusal)
	}
	return err
}

// tryLogin counts the attempt before the password is looked at, the same whether or not the address is known.
func (c *console) tryLogin(r *http.Request, email, password, code string) error {
	ctx := r.Context()
	known, err := c.Accounts.KnowsDevice(ctx, email, device(r))
	if err != nil {
		return err
	}
	attempts := c.loginAttempts(r, email, known)
	if err := c.countAttempts(ctx, attempts); err != nil {
		return err
	}
	var user accounts.LoggedIn
	err = c.hash(ctx, func() (err error) {
		user, err = c.Accounts.LogIn(ctx, accounts.LogIn{By: by(ctx, domain.ActorUser), Email: email, Password: password})
		return err
	})
	if err != nil {
		if errors.Is(err, accounts.ErrLoginFailed) {
			account := c.Security.Name(accountName, accounts.NormaliseMail(email))
			c.Security.Note(ctx, securitylog.LoginFailed, slog.String(accountName, account), slog.Bool("known_device", known))
		} else { // not the person's fault, so it says nothing about the password
			c.refundAttempts(ctx, attempts)
		}
		return err
	}
	waiting := waitingLogin{user: user, email: email, known: known, attempts: attempts}
	if user.SecondFactor && code == "" {
		return c.keepWaiting(r, waiting)
	}
	return c.completeLogin(r, waiting, code)
}

// completeLogin begins the session of somebody whose password was right, once their code is right too where one is needed.
func (c *console) completeLogin(r *http.Request, login waitingLogin, code string) error {
	if login.user.SecondFactor {
		if err := c.checkCode(r, login.user.AccountID, login.known, code); err != nil {
			return err
		}
	}
	if err := c.beginSession(r, login.user); err != nil {
		return err
	}
	c.forgiveAttempts(r.Context(), login.attempts)
	return nil
}

// loginAttempts are what an attempt at a login is counted of. A browser that the owner of an account has logged in from is
// counted by itself, so that strangers who guess cannot lock the owner out of it.
func (c *console) loginAttempts(r *http.Request, email string, known bool) []attempt {
	account := accounts.NormaliseMail(email)
	if known {
		return []attempt{{loginOnDevice, account + "\x00" + device(r)}}
	}
	return []attempt{{loginFromAddress, c.clientAddress(r)}, {loginOfAccount, account}}
}

func (c *console) logOut(w http.ResponseWriter, r *http.Request) {
	if err := c.leaveSession(r); err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, accounts.LoginPath+"?from="+fromLogout, http.StatusSeeOther)
}

// hash runs a command that hashes a password, when there is room for one more.
func (c *console) hash(ctx context.Context, run func() error) error {
	select {
	case c.hashing <- struct{}{}:
		defer func() { <-c.hashing }()
		return run()
	case <-ctx.Done():
		return ctx.Err()
	}
}
