package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// existingLogin is what a page needs on which somebody confirms something with the login that they have.
type existingLogin struct {
	Token    string
	Email    string
	LoggedIn bool // as that person: no password is asked for
	Purchase *purchase
	Company  string
	Role     domain.Role
}

func (c *console) isLoggedInAs(r *http.Request, account uuid.UUID) bool {
	current, err := c.login(r)
	return err == nil && current == account
}

// asLogin makes sure that who asks is the person of an account: by their session, else by their password.
func (c *console) asLogin(r *http.Request, account uuid.UUID, email, password string) error {
	if c.isLoggedInAs(r, account) {
		return nil
	}
	return c.authenticate(r, email, password, "")
}

func (c *console) attachPage(r *http.Request, token string, link accounts.Verification) (page, error) {
	registered, err := c.Accounts.Account(r.Context(), link.CustomerID)
	if err != nil {
		return page{}, err
	}
	bought, err := c.purchaseOf(r, registered.SubscriptionID)
	return page{Title: "Add the subscription to your login", Step: 4, Data: existingLogin{
		Token: token, Email: link.Email, LoggedIn: c.isLoggedInAs(r, link.AccountID), Purchase: bought,
	}}, err
}

// showAttach asks whose address has a login already to take the subscription over with it.
func (c *console) showAttach(w http.ResponseWriter, r *http.Request, token string, link accounts.Verification) {
	p, err := c.attachPage(r, token, link)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "attach", p)
}

func (c *console) attachRegistration(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, "token", "password")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	token := values["token"]
	link, err := c.Accounts.CheckVerificationLink(r.Context(), token)
	if err == nil && link.AccountID == uuid.Nil { // the login was erased meanwhile
		err = domain.ErrLinkInvalid
	}
	if err != nil {
		c.refuseLink(w, r, link.Link, token, err)
		return
	}
	err = c.asLogin(r, link.AccountID, link.Email, values["password"])
	if errors.Is(err, errCodeNeeded) {
		c.awaitCode(w, r, accounts.ActivationPath+"?"+url.Values{"token": {token}}.Encode())
		return
	}
	if err != nil {
		p, pageErr := c.attachPage(r, token, link)
		if pageErr != nil {
			c.fail(w, r, pageErr)
			return
		}
		c.refuse(w, r, "attach", p, wrongPasswordOf(err))
		return
	}
	done, err := c.Accounts.AttachRegistration(r.Context(), accounts.AttachRegistration{
		By: byUser(r.Context(), link.AccountID), Token: token, AccountID: link.AccountID,
	})
	if err != nil {
		c.refuseLink(w, r, link.Link, token, err)
		return
	}
	c.sessions.Remove(r.Context(), sessionOnboarding)
	c.sessions.Put(r.Context(), sessionCustomer, link.CustomerID.String())
	c.showKeys(w, r, done, "The subscription is added to your login", true)
}

// wrongPasswordOf says that the password is not right, where the address is not to be typed.
func wrongPasswordOf(err error) error {
	if errors.Is(err, accounts.ErrLoginFailed) {
		return accounts.ErrLoginFailed.Saying("The password is not right. Try again, or reset it.")
	}
	return err
}
