package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

func loginPage(values map[string]string) page {
	return page{Title: "Log in", Form: form{Values: values}}
}

func (c *console) showLogin(w http.ResponseWriter, r *http.Request) {
	if _, err := c.login(r); err == nil {
		http.Redirect(w, r, localPath(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	p := loginPage(map[string]string{"next": r.URL.Query().Get("next"), "email": c.sessions.GetString(r.Context(), sessionMailedTo)})
	if r.URL.Query().Get("from") == fromMarketplace {
		p.Notice = "Your subscription already has an account. Log in with its mail address."
	}
	c.render(w, r, http.StatusOK, "login", p)
}

func (c *console) logIn(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "email", "password", "next")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	err = c.authenticate(r, values["email"], values["password"])
	if err != nil {
		delete(values, "password")
		c.refuse(w, r, "login", loginPage(values), err)
		return
	}
	http.Redirect(w, r, localPath(values["next"]), http.StatusSeeOther)
}

// loginRefusalTime is how long a refused login takes at least, so that noting the failure of an account that exists takes
// no longer than finding none.
const loginRefusalTime = 250 * time.Millisecond

// authenticate logs a person in and begins the session. Attempts are counted the same whether or not the address is
// known, before the password is looked at; a success forgets those of the account.
func (c *console) authenticate(r *http.Request, email, password string) error {
	ctx := r.Context()
	refusal := time.Now().Add(loginRefusalTime)
	account, address := accounts.NormaliseMail(email), c.clientAddress(r)
	if err := c.countAttempt(ctx, loginFromAddress, address); err != nil {
		return err
	}
	if err := c.countAttempt(ctx, loginOfAccount, account); err != nil {
		return err
	}
	var user accounts.LoggedIn
	err := c.hash(ctx, func() (err error) {
		user, err = c.Accounts.LogIn(ctx, accounts.LogIn{By: by(domain.ActorUser), Email: email, Password: password, Device: device(r)})
		return err
	})
	if err != nil {
		if !errors.Is(err, accounts.ErrLoginFailed) { // not the person's fault, so it says nothing about the password
			c.refundAttempt(ctx, loginOfAccount, account)
			return err
		}
		noSoonerThan(ctx, refusal)
		return err
	}
	generation, err := c.Generations.Current(ctx, user.AccountID)
	if err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	// A password that is replaced between its check and here must not leave a session behind: either the replacement is
	// seen now, or it raises the generation after the one just read.
	if err := c.Accounts.ConfirmLogin(ctx, user); err != nil {
		return err
	}
	c.refundAttempt(ctx, loginFromAddress, address)
	c.resetAttempts(ctx, loginOfAccount, account)
	return c.beginSession(r, user, generation)
}

func (c *console) logOut(w http.ResponseWriter, r *http.Request) {
	if err := c.sessions.Destroy(r.Context()); err != nil {
		c.fail(w, r, domain.ErrUnavailable.Because(err))
		return
	}
	c.notice(r, "You are logged out.")
	http.Redirect(w, r, accounts.LoginPath, http.StatusSeeOther)
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

func by(actor string) commands.Origin { return commands.NewOrigin(actor) }
