package consoletest

import "github.com/pas-ta/liveness/domain"

// GraceAddress is how the colleague logs in.
const GraceAddress = "grace@example.com"

// Session is what frames every screen.
type Session struct {
	Account   string
	Email     string
	Customer  string
	Company   string
	Status    string
	Role      string
	Customers []struct{ ID, Company, Status, Role string }
}

// Session returns who is logged in, looking at a customer or at the one of the last time.
func (b *Client) Session(customer string) (s Session) {
	b.w.t.Helper()
	path := "session"
	if customer != "" {
		path += "?customer=" + customer
	}
	b.Read(path, &s)
	return s
}

// BuyAgain registers another subscription with the address that has a login, and attaches it; it gives the customer.
func (b *Client) BuyAgain(company string) string {
	b.w.t.Helper()
	token, identity := b.w.Market.Sell("standard", 1)
	b.Post("/marketplace/register", TokenField, token).Is(200).At("/console/onboarding")
	b.Post("/console/onboarding", OnboardingForm("company", company)...).Is(200).At("/console/check-mail")
	link := b.w.MailedLink(MailAddress, "Add your new subscription")
	b.Get(link).Is(200).Says("Add the subscription to your login", MailAddress, identity.DisplayID())
	b.Post("/console/activate/attach", "token", TokenOf(b.w.t, link), "password", Password).Is(200).Says("The subscription is added to your login", "Primary key")
	b.w.Settled()
	return domain.CustomerIDForSubscription(domain.SubscriptionIDForLicence(identity.LicenseARN)).String()
}

// Invite lets the owner who uses the browser invite grace, who accepts; it gives her browser and her account.
func (b *Client) Invite(customer, role string) (grace *Client, account string) {
	b.w.t.Helper()
	b.Command("people/invite?customer="+customer, map[string]string{"email": GraceAddress, "role": role}).Is(200)
	grace = b.w.Client()
	link := b.w.MailedLink(GraceAddress, "You are invited")
	grace.Get(link).Is(200).Says("You are invited", GraceAddress)
	grace.Post("/console/invitation", "token", TokenOf(b.w.t, link), "firstName", "Grace", "lastName", "Hopper", "password", Password).Is(200).At("/console/dashboard")
	b.w.Settled()
	return grace, grace.Session("").Account
}

// Stranger returns the browser of the owner of another customer, who has logged in with an address.
func (w *World) Stranger(address string) *Client {
	w.t.Helper()
	eve := w.Client()
	token, _ := w.Market.Sell("starter", 1)
	eve.Post("/marketplace/register", TokenField, token).Is(200)
	eve.Post("/console/onboarding", OnboardingForm("firstName", "Eve", "lastName", "Stranger", "email", address, "company", "Others Ltd", "website", "https://example.net")...).Is(200)
	eve.Post("/console/activate", "token", TokenOf(w.t, w.MailedLink(address, "Verify")), "password", Password).Is(200)
	eve.Post("/console/login", "email", address, "password", Password).Is(200).At("/console/dashboard")
	w.Settled()
	return eve
}

// Activity returns the kinds of what happened, newest first.
func (b *Client) Activity(customer string) (kinds []string) {
	b.w.t.Helper()
	var activity struct{ Entries []struct{ Kind string } }
	b.Read("activity?customer="+customer, &activity)
	for _, e := range activity.Entries {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}
