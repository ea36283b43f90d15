package console

import (
	"errors"
	"net/http"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// tokenField is the form field that AWS Marketplace sends.
const tokenField = "x-amzn-marketplace-token"

// fromMarketplace marks a login page that a buyer with an account was sent to.
const fromMarketplace = "marketplace"

// receiveBuyer takes the buyer's browser over from AWS Marketplace. The token is used at once and kept nowhere; what the
// session holds from then on is our own id of the subscription that AWS has resolved.
func (c *console) receiveBuyer(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(r, tokenField)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	token, address := form[tokenField], c.clientAddress(r)
	if token == "" {
		c.explainRegistration(w, r)
		return
	}
	if err := c.countAttempt(r.Context(), tokenFromAddress, address); err != nil {
		c.fail(w, r, err)
		return
	}
	buyer, err := c.Registration.RegisterBuyer(r.Context(), subscriptions.RegisterBuyer{By: by(r.Context(), domain.ActorBuyer), Token: token})
	if err != nil {
		c.refuseBuyer(w, r, token, err)
		return
	}
	c.refundAttempt(r.Context(), tokenFromAddress, address)
	if buyer.Active {
		// The session stays untouched: it may be the one that this buyer is logged in with.
		http.Redirect(w, r, accounts.LoginPath+"?from="+fromMarketplace, http.StatusSeeOther)
		return
	}
	if buyer.Erased {
		c.explain(w, r, http.StatusConflict, erasedAccount())
		return
	}
	if err := c.sessions.RenewToken(r.Context()); err != nil {
		c.fail(w, r, domain.ErrUnavailable.Because(err))
		return
	}
	c.sessions.Put(r.Context(), sessionOnboarding, buyer.Subscription.ID.String())
	if buyer.Registered {
		c.notice(r, "You have entered your details before. All that is left is the link in our mail.")
		http.Redirect(w, r, checkMailPath, http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, onboardingPath, http.StatusSeeOther)
}

// backToAWS are the steps to a fresh registration token. Nothing is bought again by them.
func backToAWS() []string {
	return []string{
		"Open the AWS console and go to AWS Marketplace, Manage subscriptions.",
		"Choose the Liveness Detection API.",
		"Choose \"Set up your account\". You are sent here again; nothing is bought twice.",
	}
}

// erasedAccount tells a buyer that nobody can set the account up again.
func erasedAccount() explanation {
	return explanation{Heading: "This account was closed", Text: []string{
		"The account of your subscription was closed, and its personal data erased, at somebody's request. It cannot be set up again.",
		"Please contact support. AWS Marketplace goes on billing the subscription until it ends; a new one can be set up.",
	}}
}

// explainRegistration tells people who come without a token where to begin.
func (c *console) explainRegistration(w http.ResponseWriter, r *http.Request) {
	actions := []action{{Label: "Log in", Link: accounts.LoginPath}}
	if c.MarketplaceURL != "" {
		actions = append(actions, action{Label: "See the product on AWS Marketplace", Link: c.MarketplaceURL})
	}
	c.explain(w, r, http.StatusBadRequest, explanation{
		Heading: "Registration starts on AWS Marketplace",
		Text:    []string{"Your browser came here without the registration token that AWS Marketplace gives it. If you have subscribed:"},
		Steps:   backToAWS(), Actions: actions,
	})
}

// refuseBuyer returns what a buyer does when registration did not go through.
func (c *console) refuseBuyer(w http.ResponseWriter, r *http.Request, token string, err error) {
	p := problemOf(err)
	c.note(r, p, err)
	p.SetHeaders(w.Header())
	again := action{Label: "Try again", Post: registerPath, Fields: map[string]string{tokenField: token}}
	e := explanation{Heading: "We could not register you yet", Text: []string{p.Message}, Actions: []action{again}}
	switch {
	case errors.Is(err, subscriptions.ErrTokenExpired):
		e = explanation{Heading: "Your registration link has expired", Steps: backToAWS(),
			Text: []string{"AWS Marketplace gives your browser a link that is valid for a few hours. Your subscription is not affected; get a fresh link:"}}
	case errors.Is(err, subscriptions.ErrTokenInvalid):
		e = explanation{Heading: "This registration link is not valid", Steps: backToAWS(),
			Text: []string{"AWS Marketplace does not know the link that your browser brought. Get a fresh one:"}}
	case errors.Is(err, subscriptions.ErrForeignProduct):
		e = explanation{Heading: "This link belongs to another product", Steps: backToAWS(),
			Text: []string{"The registration link is one of another product on AWS Marketplace. For the Liveness Detection API:"}}
	case errors.Is(err, subscriptions.ErrNoEntitlement):
		e.Heading = "AWS has not confirmed your contract yet"
		e.Text = []string{"This usually takes less than a minute after you subscribe. Nothing is lost; try again shortly.",
			"If you have cancelled the subscription, subscribe again on AWS Marketplace."}
	case p.Code == "unknown_plan":
		c.Log.ErrorContext(r.Context(), "a buyer has a plan that is not in the catalogue", "error", err)
		e.Heading, e.Actions = "We do not know the plan you bought", nil
		e.Text = []string{"Your purchase is safe, but the plan is not set up on our side yet. Please contact support; we set it up and you continue from here.",
			"Mention the Subscription shown in the AWS console under Manage subscriptions."}
	case errors.Is(err, domain.ErrSubscriptionInactive):
		e = explanation{Heading: "This subscription has ended", Actions: []action{{Label: "Log in", Link: accounts.LoginPath}},
			Text: []string{"AWS Marketplace says that the subscription is no longer active. Subscribe again to go on.", "Your earlier usage can still be seen in the console."}}
		if c.MarketplaceURL != "" {
			e.Actions = append([]action{{Label: "Subscribe on AWS Marketplace", Link: c.MarketplaceURL}}, e.Actions...)
		}
	case errors.Is(err, subscriptions.ErrMarketplaceUnavailable):
		e.Heading = "AWS Marketplace does not answer"
		e.Text = []string{"Your purchase is safe. AWS Marketplace, which tells us what you bought, does not answer at the moment. Try again in a minute."}
	}
	c.explain(w, r, p.Status, e)
}
