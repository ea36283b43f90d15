package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/snippets"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// newPassword is what a page with a new password needs.
type newPassword struct {
	Token string
	Email string // for password managers, when the session knows it
}

func (c *console) activationPage(r *http.Request, token string) page {
	return page{Title: "Set your password", Step: 4, Data: newPassword{Token: token, Email: c.sessions.GetString(r.Context(), sessionMailedTo)}}
}

// showActivation asks for a password. Opening the link uses nothing up: mail scanners open links too.
func (c *console) showActivation(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	link, err := c.Accounts.CheckVerificationLink(r.Context(), token)
	if err != nil {
		c.refuseLink(w, r, link.Link, token, err)
		return
	}
	if link.AccountID != uuid.Nil {
		c.showAttach(w, r, token, link)
		return
	}
	c.render(w, r, http.StatusOK, "activate", c.activationPage(r, token))
}

// shownKey is a key on the one page that shows it.
type shownKey struct {
	Slot  string
	Label string
	Key   string
}

// shownKeys is the page that shows the first keys.
type shownKeys struct {
	Heading  string
	Keys     []shownKey
	Snippets []snippets.Snippet // the first call in every language, with the primary key in it
	Customer uuid.UUID
	LoggedIn bool // the console is the next page, and no login before it
	Soon     bool // servers may refuse the keys for a moment yet
}

func (c *console) activate(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "token", "password")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	token := values["token"]
	var done accounts.Activation
	err = c.hash(r.Context(), func() (err error) {
		done, err = c.Accounts.ActivateAccount(r.Context(), accounts.ActivateAccount{By: by(r.Context(), domain.ActorBuyer), Token: token, Password: values["password"]})
		return err
	})
	switch p := problemOf(err); {
	case err == nil:
	case p.Field == "password" || p.Status >= http.StatusInternalServerError:
		c.refuse(w, r, "activate", c.activationPage(r, token), err)
		return
	case errors.Is(err, domain.ErrMailAddressTaken): // since the page was shown: it now asks for the password of that login
		http.Redirect(w, r, accounts.ActivationPath+"?"+url.Values{"token": {token}}.Encode(), http.StatusSeeOther)
		return
	default:
		link, _ := c.Accounts.CheckVerificationLink(r.Context(), token)
		c.refuseLink(w, r, link.Link, token, err)
		return
	}
	c.sessions.Remove(r.Context(), sessionOnboarding)
	c.showKeys(w, r, done, "Your account is active", false)
}

// showKeys shows the first keys, this one time.
func (c *console) showKeys(w http.ResponseWriter, r *http.Request, done accounts.Activation, heading string, loggedIn bool) {
	shown := shownKeys{Heading: heading, Customer: done.CustomerID, LoggedIn: loggedIn, Soon: done.Soon}
	for _, key := range done.Keys {
		shown.Keys = append(shown.Keys, shownKey{Slot: string(key.Slot), Label: slotLabel(key.Slot), Key: key.Reveal()})
	}
	if len(shown.Keys) > 0 {
		var err error
		if shown.Snippets, err = snippets.For(c.PublicURL, shown.Keys[0].Key); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	c.render(w, r, http.StatusOK, "keys", page{Title: "Save your API keys", Data: shown})
}

func slotLabel(slot domain.KeySlot) string {
	if slot == domain.SlotSecondary {
		return "Secondary key"
	}
	return "Primary key"
}

// refuseLink returns what a person does with a verification link that does not work.
func (c *console) refuseLink(w http.ResponseWriter, r *http.Request, link accounts.Link, token string, err error) {
	p := problemOf(err)
	c.note(r, p, err)
	c.noteLink(r, accounts.LinkVerification, err)
	p.SetHeaders(w.Header())
	logIn := action{Label: "Log in", Link: accounts.LoginPath}
	renew := action{Label: "Send me a new link", Post: renewLinkPath, Fields: map[string]string{"token": token}}
	e := explanation{Heading: headingOf(p.Status), Text: []string{p.Message}, Actions: []action{logIn}}
	switch {
	case errors.Is(err, domain.ErrLinkExpired):
		e = explanation{Heading: "This link has expired", Text: []string{"Verification links are valid for 24 hours. We can send you a new one."}, Actions: []action{renew}}
	case errors.Is(err, domain.ErrLinkUsed):
		e = explanation{Heading: "This link was already used", Actions: []action{logIn, {Label: "Reset the password", Link: accounts.ForgotPath}},
			Text: []string{"Your account is active. Log in with your mail address and password.",
				"If you did not save your API keys, issue new ones with Regenerate on the API keys screen."}}
	case errors.Is(err, domain.ErrAlreadyActive):
		e.Heading, e.Text = "Your account is already active", []string{"A newer link than this one was used. Log in with your mail address and password."}
	case errors.Is(err, domain.ErrAccountErased):
		e = erasedAccount()
	case errors.Is(err, domain.ErrLinkInvalid) && link.CustomerID != uuid.Nil:
		e = explanation{Heading: "A newer link was sent", Text: []string{"This link was replaced by the one in our newest mail. Open that one, or let us send you another."}, Actions: []action{renew}}
	case errors.Is(err, domain.ErrLinkInvalid):
		e.Heading = "This link is not valid"
		e.Text = []string{"It may have been cut off by your mail program. Copy the whole address from our mail into your browser, or open the newest mail from us."}
	}
	c.explain(w, r, p.Status, e)
}

// renewLink mails a fresh verification link to who has an older one.
func (c *console) renewLink(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "token")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	link, err := c.Accounts.CheckVerificationLink(r.Context(), values["token"])
	if link.CustomerID == uuid.Nil {
		c.refuseLink(w, r, link.Link, values["token"], err)
		return
	}
	if err := c.countAttempt(r.Context(), mailToAccount, link.CustomerID.String()); err != nil {
		c.fail(w, r, err)
		return
	}
	if _, err := c.Accounts.ResendVerificationByLink(r.Context(), by(r.Context(), domain.ActorBuyer), values["token"]); err != nil {
		c.refuseLink(w, r, link.Link, values["token"], err)
		return
	}
	c.notice(r, "A new mail is on its way. Links in earlier mails no longer work.")
	http.Redirect(w, r, checkMailPath, http.StatusSeeOther)
}
