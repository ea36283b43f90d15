package console

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// Fields of the onboarding screen.
var personFields = []string{"firstName", "lastName", "email", "company", "website"}

// purchase is what the onboarding screens show of the subscription without being asked.
type purchase struct {
	AWSAccountID   string
	SubscriptionID string
	Plan           string
	Limit          int64
	StartsAt       time.Time // of a contract whose plan AWS does not tell yet
	Starts         bool      // later than now
}

var errOnboardingLost = &domain.Error{Kind: domain.KindUnauthenticated, Code: "onboarding_ended",
	Message: "Your session has ended. In another tab, open the AWS console, go to Manage subscriptions and choose \"Set up your account\" again. Then come back here and press Continue: what you entered is kept."}

// purchase reads what the session's buyer has bought; errOnboardingLost when there is no such session.
func (c *console) purchase(r *http.Request) (uuid.UUID, *purchase, error) {
	id := c.sessionID(r, sessionOnboarding)
	if id == uuid.Nil {
		return id, nil, errOnboardingLost
	}
	bought, err := c.purchaseOf(r, id)
	return id, bought, err
}

func (c *console) purchaseOf(r *http.Request, subscription uuid.UUID) (*purchase, error) {
	s, err := c.Subscriptions.Subscription(r.Context(), subscription)
	if err != nil {
		return nil, err
	}
	bought := &purchase{AWSAccountID: s.Marketplace.AWSAccountID, SubscriptionID: s.Marketplace.DisplayID(), Plan: string(s.Plan), Limit: s.Limit}
	if s.Status == domain.StatusScheduled {
		bought.StartsAt, bought.Starts = s.StartsAt.UTC(), s.StartsAt.After(c.Now())
	}
	if plan, err := c.Catalogue.Plan(s.Plan); err == nil {
		bought.Plan = plan.Name
	}
	return bought, nil
}

func (c *console) showOnboarding(w http.ResponseWriter, r *http.Request) {
	_, bought, err := c.purchase(r)
	if problemOf(err).Code == errOnboardingLost.Code {
		c.explainRegistration(w, r)
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "onboarding", onboardingPage(bought, map[string]string{"email": c.sessions.GetString(r.Context(), sessionMailedTo)}))
}

func onboardingPage(bought *purchase, values map[string]string) page {
	return page{Title: "Your details", Step: 2, Data: bought, Form: form{Values: values}}
}

func (c *console) submitOnboarding(w http.ResponseWriter, r *http.Request) {
	values, err := readForm(r, personFields...)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	id, bought, err := c.purchase(r)
	if err == nil {
		err = c.countAttempt(r.Context(), mailToAccount, id.String())
	}
	if err == nil {
		_, err = c.Accounts.RegisterAccount(r.Context(), accounts.RegisterAccount{By: by(r.Context(), domain.ActorBuyer), SubscriptionID: id, Person: accounts.Person{
			FirstName: values["firstName"], LastName: values["lastName"], Email: values["email"], Company: values["company"], Website: values["website"],
		}})
		if problemOf(err).Status < http.StatusInternalServerError && err != nil {
			c.refundAttempt(r.Context(), mailToAccount, id.String()) // no mail went out
		}
	}
	if err != nil {
		c.refuse(w, r, "onboarding", onboardingPage(bought, values), err)
		return
	}
	c.sessions.Put(r.Context(), sessionMailedTo, accounts.NormaliseMail(values["email"]))
	http.Redirect(w, r, checkMailPath, http.StatusSeeOther)
}

func (c *console) showCheckMail(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "check_mail", c.checkMailPage(r))
}

// mailedTo is what the check-your-mail page shows.
type mailedTo struct {
	Address   string // empty when the session does not know it any more
	CanResend bool
	Sent      bool   // our mail service has taken the mail
	Refused   string // why it will never arrive; empty while it may
	Pending   bool   // what becomes of it may still be told
}

func (c *console) checkMailPage(r *http.Request) page {
	shown := mailedTo{Address: c.sessions.GetString(r.Context(), sessionMailedTo)}
	if subscription := c.sessionID(r, sessionOnboarding); subscription != uuid.Nil {
		shown.CanResend = true
		c.showDelivery(r, domain.CustomerIDForSubscription(subscription), &shown)
	}
	return page{Title: "Check your mail", Step: 3, Data: shown}
}

// showDelivery adds what became of the mail. Without it the page says what it says anyway.
func (c *console) showDelivery(r *http.Request, customer uuid.UUID, shown *mailedTo) {
	if c.Mails == nil {
		return
	}
	delivery, err := c.Accounts.VerificationDelivery(r.Context(), customer, c.Mails)
	if err != nil {
		c.Log.WarnContext(r.Context(), "it is not known what became of a mail", "customer", customer, "error", err)
		return
	}
	shown.Sent, shown.Pending = delivery.Sent, delivery.Refused == nil
	if delivery.Refused != nil {
		shown.Refused = refusalWords(*delivery.Refused)
	}
}

// refusalWords says to a person why a mail will not arrive.
func refusalWords(refusal accounts.UndeliverableError) string {
	words := map[accounts.UndeliverableCause]string{
		accounts.CauseAddress:    "Our mail service does not accept it as an address",
		accounts.CauseNoDomain:   "Nobody takes mails for the part behind the @",
		accounts.CauseNoMailbox:  "Your mail server refused it: there is no such mailbox",
		accounts.CauseDisabled:   "Your mail server refused it: the mailbox takes no mails",
		accounts.CauseFull:       "Your mail server refused it: the mailbox is full",
		accounts.CauseSuppressed: "Earlier mails to it came back, so that our mail service no longer delivers to it",
		accounts.CauseComplaint:  "A mail of ours to it was marked as spam, so that our mail service no longer delivers to it",
	}[refusal.Cause]
	if words == "" {
		words = "Your mail server refused it without saying why"
	}
	if refusal.Answer != "" {
		words += " (" + refusal.Answer + ")"
	}
	return words + "."
}

func (c *console) resendVerification(w http.ResponseWriter, r *http.Request) {
	id := c.sessionID(r, sessionOnboarding)
	if id == uuid.Nil {
		c.explainRegistration(w, r)
		return
	}
	err := c.countAttempt(r.Context(), mailToAccount, id.String())
	if err == nil {
		_, err = c.Accounts.ResendVerification(r.Context(), accounts.ResendVerification{
			By: by(r.Context(), domain.ActorBuyer), CustomerID: domain.CustomerIDForSubscription(id),
		})
	}
	if err != nil {
		c.refuse(w, r, "check_mail", c.checkMailPage(r), err)
		return
	}
	c.notice(r, "A new mail is on its way. Links in earlier mails no longer work.")
	http.Redirect(w, r, checkMailPath, http.StatusSeeOther)
}
