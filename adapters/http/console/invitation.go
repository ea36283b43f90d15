package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

func (c *console) invitationPage(r *http.Request, token string, open accounts.OpenInvitation, values map[string]string) page {
	return page{Title: "You are invited", Form: form{Values: values}, Data: existingLogin{
		Token: token, Email: open.Email, LoggedIn: c.isLoggedInAs(r, open.AccountID), Company: open.Company, Role: open.Role,
	}}
}

// invitationTemplate names the page: it asks for the password of a login, or for what a new one needs.
func invitationTemplate(open accounts.OpenInvitation) string {
	if open.AccountID != uuid.Nil {
		return "invitation"
	}
	return "invitation_new"
}

// showInvitation asks whether to accept. Opening the link uses nothing up: mail scanners open links too.
func (c *console) showInvitation(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	open, err := c.Accounts.CheckInvitationLink(r.Context(), token)
	if err != nil {
		c.refuseInvitation(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, invitationTemplate(open), c.invitationPage(r, token, open, nil))
}

func (c *console) acceptInvitation(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "token", "firstName", "lastName", "password")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	token, password := values["token"], values["password"]
	open, err := c.Accounts.CheckInvitationLink(r.Context(), token)
	if err != nil {
		c.refuseInvitation(w, r, err)
		return
	}
	if open.AccountID != uuid.Nil {
		err = c.joinWithLogin(r, token, open, password)
	} else {
		err = c.joinAnew(r, token, open, values)
	}
	switch p := problemOf(err); {
	case err == nil:
	case errors.Is(err, errCodeNeeded):
		c.awaitCode(w, r, accounts.InvitationPath+"?"+url.Values{"token": {token}}.Encode())
		return
	case errors.Is(err, domain.ErrMailAddressTaken): // since the page was shown: it now asks for the password of that login
		http.Redirect(w, r, accounts.InvitationPath+"?"+url.Values{"token": {token}}.Encode(), http.StatusSeeOther)
		return
	case errors.Is(err, domain.ErrLinkInvalid), errors.Is(err, domain.ErrLinkExpired), errors.Is(err, domain.ErrLinkUsed), errors.Is(err, domain.ErrAlreadyMember):
		c.refuseInvitation(w, r, err)
		return
	default:
		c.note(r, p, err)
		delete(values, "password")
		c.refuse(w, r, invitationTemplate(open), c.invitationPage(r, token, open, values), wrongPasswordOf(err))
		return
	}
	c.sessions.Put(r.Context(), sessionCustomer, open.CustomerID.String())
	http.Redirect(w, r, dashboardPath+"?"+url.Values{customerField: {open.CustomerID.String()}}.Encode(), http.StatusSeeOther)
}

func (c *console) joinWithLogin(r *http.Request, token string, open accounts.OpenInvitation, password string) error {
	if err := c.asLogin(r, open.AccountID, open.Email, password); err != nil {
		return err
	}
	_, err := c.Accounts.AcceptInvitation(r.Context(), accounts.AcceptInvitation{
		By: byUser(r.Context(), open.AccountID), Token: token, AccountID: open.AccountID,
	})
	return err
}

// joinAnew makes a login and begins its first session.
func (c *console) joinAnew(r *http.Request, token string, open accounts.OpenInvitation, values map[string]string) error {
	err := c.hash(r.Context(), func() error {
		_, err := c.Accounts.RegisterInvitee(r.Context(), accounts.RegisterInvitee{
			By: by(r.Context(), domain.ActorBuyer), Token: token, FirstName: values["firstName"], LastName: values["lastName"], Password: values["password"],
		})
		return err
	})
	if err != nil {
		return err
	}
	return c.authenticate(r, open.Email, values["password"], "")
}

// refuseInvitation says what a person does with an invitation that does not work.
func (c *console) refuseInvitation(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	c.note(r, p, err)
	c.noteLink(r, accounts.LinkInvitation, err)
	p.SetHeaders(w.Header())
	e := explanation{Heading: headingOf(p.Status), Text: []string{p.Message}, Actions: []action{{Label: "Log in", Link: accounts.LoginPath}}}
	switch {
	case errors.Is(err, domain.ErrLinkExpired):
		e.Heading, e.Text = "This invitation has expired", []string{"Invitations are valid for seven days. Ask who invited you to send another one."}
	case errors.Is(err, domain.ErrLinkUsed):
		e.Heading, e.Text = "This invitation was already accepted", []string{"Log in with your mail address and password."}
	case errors.Is(err, domain.ErrLinkInvalid):
		e.Heading = "This invitation does not work any more"
		e.Text = []string{"It was withdrawn, replaced by a newer one, or cut off by your mail program. Open the newest mail from us, or ask who invited you."}
	}
	c.explain(w, r, p.Status, e)
}
