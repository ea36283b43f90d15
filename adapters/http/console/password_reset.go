package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// resetAnswerTime is how long the answer to "mail me a reset link" takes at least. Writing the request down takes longer
// than finding no account; without this, the difference would tell whether an address is known.
const resetAnswerTime = 400 * time.Millisecond

// noSoonerThan waits until a moment, unless the client leaves before.
func noSoonerThan(ctx context.Context, moment time.Time) {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (c *console) showForgot(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "forgot", page{Title: "Reset your password", Form: form{Values: map[string]string{"email": r.URL.Query().Get("email")}}})
}

func (c *console) requestReset(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "email")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	ctx := r.Context()
	answer := time.Now().Add(resetAnswerTime)
	p := page{Title: "Reset your password", Form: form{Values: values}}
	if values["email"] == "" {
		c.refuse(w, r, "forgot", p, domain.Invalid("email", "Enter the mail address of your account."))
		return
	}
	if err := c.countAttempt(ctx, mailFromAddress, c.clientAddress(r)); err != nil {
		c.refuse(w, r, "forgot", p, err)
		return
	}
	// Beyond the limit of mails to one account no further is sent, and the answer is the same as ever.
	limited := c.countAttempt(ctx, mailToAccount, accounts.NormaliseMail(values["email"]))
	if limited == nil {
		err = c.Accounts.RequestPasswordReset(ctx, accounts.RequestPasswordReset{By: by(ctx, domain.ActorBuyer), Email: values["email"]})
	} else if !errors.Is(limited, errTooManyAttempts) {
		err = limited
	}
	if err != nil && !errors.Is(err, accounts.ErrNotRequested) {
		c.refuse(w, r, "forgot", p, err)
		return
	}
	if err != nil { // only of a known address, so the answer must not tell; the page says to ask again when no mail comes
		c.Log.ErrorContext(ctx, "a password reset cannot be requested", "error", err)
	}
	noSoonerThan(ctx, answer)
	c.render(w, r, http.StatusOK, "forgot_sent", page{Title: "Check your mail", Data: values["email"]})
}

func (c *console) showReset(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	if _, err := c.Accounts.CheckResetLink(r.Context(), token); err != nil {
		c.refuseResetLink(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "reset", page{Title: "Choose a new password", Data: newPassword{Token: token}})
}

func (c *console) reset(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "token", "password")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var done accounts.PasswordReset
	err = c.hash(r.Context(), func() (err error) {
		done, err = c.Accounts.ResetPassword(r.Context(), accounts.ResetPassword{By: by(r.Context(), domain.ActorUser), Token: values["token"], Password: values["password"]})
		return err
	})
	switch p := problemOf(err); {
	case err == nil:
	case p.Field == "password" || p.Status >= http.StatusInternalServerError:
		c.refuse(w, r, "reset", page{Title: "Choose a new password", Data: newPassword{Token: values["token"]}}, err)
		return
	default:
		c.refuseResetLink(w, r, err)
		return
	}
	c.liftLockOut(r, done)
	if err := c.Logins.EndAll(r.Context(), done.AccountID, uuid.Nil); err != nil {
		c.fail(w, r, domain.ErrUnavailable.Saying("Your password is changed, but sessions on other devices could not be closed. Log in and choose \"Sign out other sessions\" on the account screen.").Because(err))
		return
	}
	c.notice(r, "Your password is changed and all sessions are signed out. Log in with the new password.")
	http.Redirect(w, r, accounts.LoginPath, http.StatusSeeOther)
}

// liftLockOut lets somebody log in who has just proved that their mail is theirs, whatever was guessed before. Wrong codes of a
// second factor stay counted: the mail says nothing about them.
func (c *console) liftLockOut(r *http.Request, done accounts.PasswordReset) {
	c.forgiveAttempts(r.Context(), append(c.loginAttempts(r, done.Email, true), attempt{loginOfAccount, accounts.NormaliseMail(done.Email)},
		attempt{passwordOfAccount, done.AccountID.String()}))
}

// refuseResetLink returns what a person does with a reset link that does not work.
func (c *console) refuseResetLink(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	c.note(r, p, err)
	c.noteLink(r, accounts.LinkPasswordReset, err)
	p.SetHeaders(w.Header())
	e := explanation{Heading: headingOf(p.Status), Text: []string{p.Message}}
	switch {
	case errors.Is(err, domain.ErrLinkExpired):
		e.Heading, e.Text = "This link has expired", []string{"Reset links are valid for one hour. Ask for a new one; your old password works until you use it."}
	case errors.Is(err, domain.ErrLinkInvalid):
		e.Heading, e.Text = "This link does not work any more", []string{"It was used already, replaced by a newer one, or cut off by your mail program. Open the newest mail from us, or ask for a new link."}
	}
	e.Actions = []action{{Label: "Ask for a new link", Link: accounts.ForgotPath}, {Label: "Log in", Link: accounts.LoginPath}}
	c.explain(w, r, p.Status, e)
}
