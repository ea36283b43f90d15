package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// A login whose password was right and that waits for a code is kept in the session, which is nobody's login yet.
const (
	sessionWaiting         = "waiting-login"    // account
	sessionWaitingPassword = "waiting-password" // the hash that matched, as the log has it
	sessionWaitingEmail    = "waiting-email"
	sessionWaitingUntil    = "waiting-until"
	sessionWaitingNext     = "waiting-next" // where to go on after it
)

// codeTimeout is how long a login waits for its code.
const codeTimeout = 10 * time.Minute

// waitingLogin is a login whose password was right.
type waitingLogin struct {
	user     accounts.LoggedIn
	email    string
	known    bool // the owner has logged in from this browser before
	attempts []attempt
}

var (
	errCodeNeeded = &domain.Error{Kind: domain.KindUnauthenticated, Code: "code_required",
		Message: "Enter the code that your authenticator app shows, or a recovery code."}
	errNotWaiting = &domain.Error{Kind: domain.KindUnauthenticated, Code: "login_required",
		Message: "The login took too long. Enter your password again."}
)

// keepWaiting keeps a login until its code comes, in a new session: one that somebody planted is worthless. It returns
// errCodeNeeded.
func (c *console) keepWaiting(r *http.Request, login waitingLogin) error {
	ctx := r.Context()
	if err := c.leaveSession(r); err != nil {
		return err
	}
	c.sessions.Put(ctx, sessionWaiting, login.user.AccountID.String())
	c.sessions.Put(ctx, sessionWaitingPassword, string(login.user.Password))
	c.sessions.Put(ctx, sessionWaitingEmail, login.email)
	c.sessions.Put(ctx, sessionWaitingUntil, c.Now().Add(codeTimeout).Unix())
	return errCodeNeeded
}

// waiting returns the login that waits for a code.
func (c *console) waiting(r *http.Request) (waitingLogin, error) {
	ctx := r.Context()
	account := c.sessionID(r, sessionWaiting)
	if account == uuid.Nil || c.Now().Unix() >= c.sessions.GetInt64(ctx, sessionWaitingUntil) {
		return waitingLogin{}, errNotWaiting
	}
	email := c.sessions.GetString(ctx, sessionWaitingEmail)
	known, err := c.Accounts.KnowsDevice(ctx, email, device(r))
	user := accounts.LoggedIn{AccountID: account, SecondFactor: true, Password: domain.Ciphertext(c.sessions.GetString(ctx, sessionWaitingPassword))}
	return waitingLogin{user: user, email: email, known: known, attempts: c.loginAttempts(r, email, known)}, err
}

// awaitCode asks for the code of a login, and goes on at a path of ours after it.
func (c *console) awaitCode(w http.ResponseWriter, r *http.Request, next string) {
	c.sessions.Put(r.Context(), sessionWaitingNext, next)
	http.Redirect(w, r, loginCodePath, http.StatusSeeOther)
}

func codePage() page { return page{Title: "Enter your code"} }

func (c *console) showLoginCode(w http.ResponseWriter, r *http.Request) {
	if _, err := c.waiting(r); err != nil {
		http.Redirect(w, r, accounts.LoginPath, http.StatusSeeOther)
		return
	}
	c.render(w, r, http.StatusOK, "login_code", codePage())
}

func (c *console) enterLoginCode(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "code")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	next := c.sessions.GetString(r.Context(), sessionWaitingNext)
	login, err := c.waiting(r)
	if err == nil {
		err = c.completeLogin(r, login, values["code"])
	}
	switch {
	case err == nil:
		http.Redirect(w, r, next, http.StatusSeeOther)
	case errors.Is(err, errNotWaiting), errors.Is(err, accounts.ErrLoginFailed): // the password was replaced meanwhile
		c.refuse(w, r, "login", loginPage(nil), errNotWaiting)
	default:
		c.refuse(w, r, "login_code", codePage(), err)
	}
}

// checkCode checks a code of somebody's second factor, and that it is used once. Wrong ones are counted: of a browser that its
// owner has logged in from by itself, for whoever knows the password could else lock the owner out.
func (c *console) checkCode(r *http.Request, account uuid.UUID, known bool, code string) error {
	ctx := r.Context()
	counted := attempt{codeOfAccount, account.String()}
	if known {
		counted = attempt{codeOnDevice, account.String() + "\x00" + device(r)}
	}
	if err := c.countAttempt(ctx, counted.what, counted.who); err != nil {
		return err
	}
	name, err := c.Accounts.CheckCode(ctx, accounts.CheckCode{By: by(ctx, domain.ActorUser), AccountID: account, Code: code})
	if err == nil && name != "" {
		err = c.useCode(ctx, account, name)
	}
	switch {
	case err == nil:
		c.resetAttempts(ctx, counted.what, counted.who)
	case errors.Is(err, domain.ErrWrongCode):
		c.Security.Note(ctx, securitylog.CodeFailed, slog.String(accountName, account.String()), slog.Bool("known_device", known))
		c.Accounts.RecordWrongCode(ctx, by(ctx, domain.ActorUser), account)
	default:
		c.refundAttempt(ctx, counted.what, counted.who)
	}
	return err
}

// useCode has a code of an app be good for nothing more; domain.ErrWrongCode when it was used already.
func (c *console) useCode(ctx context.Context, account uuid.UUID, name string) error {
	err := c.countAttempt(ctx, useOfCode, account.String()+"\x00"+name)
	if errors.Is(err, errTooManyAttempts) {
		return domain.ErrWrongCode
	}
	return err
}
