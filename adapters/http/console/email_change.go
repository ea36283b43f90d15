package console

import (
	"errors"
	"net/http"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// showEmailChange asks to confirm the new address. Opening the link uses nothing up: mail scanners open links too.
func (c *console) showEmailChange(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	change, err := c.Accounts.CheckEmailChangeLink(r.Context(), token)
	if err != nil {
		c.refuseEmailChange(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "email_change", page{Title: "Confirm your new work email", Data: existingLogin{Token: token, Email: change.Email}})
}

func (c *console) changeEmail(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "token")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	change, err := c.Accounts.CheckEmailChangeLink(r.Context(), values["token"])
	if err == nil {
		_, err = c.Accounts.ChangeEmail(r.Context(), accounts.ChangeEmail{By: by(r.Context(), domain.ActorUser), Token: values["token"]})
	}
	if err != nil {
		c.refuseEmailChange(w, r, err)
		return
	}
	next := action{Label: "Log in", Link: accounts.LoginPath}
	if c.isLoggedInAs(r, change.CustomerID) {
		next = action{Label: "Go to your account", Link: "/console/account"}
	}
	c.explain(w, r, http.StatusOK, explanation{
		Heading: "Your work email is changed", Actions: []action{next},
		Text: []string{"From now on you log in with " + change.Email + ", and our mails go there. Your password stays the same."},
	})
}

// refuseEmailChange says what a person does with a link to a new address that does not work.
func (c *console) refuseEmailChange(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	c.note(r, p, err)
	c.noteLink(r, accounts.LinkEmailChange, err)
	p.SetHeaders(w.Header())
	e := explanation{Heading: headingOf(p.Status), Text: []string{p.Message}, Actions: []action{{Label: "Go to your account", Link: "/console/account"}}}
	const old = "You log in with your old address until a change is confirmed."
	switch {
	case errors.Is(err, domain.ErrLinkExpired):
		e.Heading, e.Text = "This link has expired", []string{"It was valid for 24 hours. Ask for the change again on the account screen.", old}
	case errors.Is(err, domain.ErrLinkUsed):
		e.Heading, e.Text = "Your work email is changed already", []string{"Log in with your new address. Your password stays the same."}
		e.Actions = []action{{Label: "Log in", Link: accounts.LoginPath}}
	case errors.Is(err, domain.ErrLinkInvalid):
		e.Heading = "This link does not work any more"
		e.Text = []string{"It was replaced by a newer one, made void by a new password, or cut off by your mail program.", old}
	case errors.Is(err, domain.ErrMailAddressTaken):
		e.Heading = "This address has a login of its own"
		e.Text = []string{"Another login goes by this address already, so yours cannot. Choose another address, or use that login.", old}
	}
	c.explain(w, r, p.Status, e)
}
