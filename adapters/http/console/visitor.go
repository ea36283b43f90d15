package console

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// visitor is a logged-in user, acting for one of their customers.
type visitor struct {
	account      uuid.UUID
	customer     uuid.UUID
	subscription uuid.UUID
	role         domain.Role
}

// by is the origin of what the user does: commands ask for the role of its account.
func (v visitor) by(ctx context.Context) commands.Origin { return byUser(ctx, v.account) }

// customerField names the customer in the address of a request. Every screen names the one that it shows: two tabs may show
// two customers, and what is pressed in one must not happen to the other.
const customerField = "customer"

var errNoCustomer = &domain.Error{Kind: domain.KindForbidden, Code: "no_customer",
	Message: "Your login does not belong to any customer. Ask an owner to invite you, or subscribe on AWS Marketplace."}

// visitor returns who is logged in and for which customer the request is.
func (c *console) visitor(r *http.Request) (visitor, error) {
	account, err := c.login(r)
	if err != nil {
		return visitor{}, err
	}
	return c.visitorOf(r, account)
}

// visitorOf says for which customer a request of a logged-in account is: the one that it names, else the one chosen last,
// else the first that still has a subscription. This is the one place where reading is allowed or refused; changes are
// decided by the commands, which ask the log.
func (c *console) visitorOf(r *http.Request, account uuid.UUID) (visitor, error) {
	named, err := namedCustomer(r)
	if err != nil {
		return visitor{}, err
	}
	customers, err := c.Models.Members.CustomersOf(r.Context(), account)
	if err != nil {
		return visitor{}, err
	}
	chosen := named
	if chosen == uuid.Nil {
		chosen = c.sessionID(r, sessionCustomer)
	}
	for _, member := range customers {
		if member.CustomerID == chosen {
			return c.actFor(r, member)
		}
	}
	if named == uuid.Nil && len(customers) > 0 {
		return c.actForFirst(r, customers)
	}
	// Somebody who has joined moments ago may not be in the read model yet; the log has it.
	if chosen == uuid.Nil {
		chosen = account
	}
	members, err := c.Accounts.Members(r.Context(), chosen)
	if err != nil {
		return visitor{}, err
	}
	if member := (projections.Member{CustomerID: chosen, AccountID: account, Role: members.Roles[account]}); member.Role != "" {
		return c.actFor(r, member)
	}
	if named == uuid.Nil {
		return visitor{}, errNoCustomer
	}
	return visitor{}, domain.ErrNotAMember
}

func namedCustomer(r *http.Request) (uuid.UUID, error) {
	text := r.URL.Query().Get(customerField)
	if text == "" {
		return uuid.Nil, nil
	}
	customer, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, domain.Invalid(customerField, "customer is one of the ids that the session lists.")
	}
	return customer, nil
}

// actForFirst acts for the first customer with a subscription that has not ended, else for the first.
func (c *console) actForFirst(r *http.Request, customers []projections.Member) (visitor, error) {
	for _, member := range customers {
		row, known, err := c.Models.Subscriptions.OfCustomer(r.Context(), member.CustomerID)
		if err != nil {
			return visitor{}, err
		}
		if known && row.Status != domain.StatusEnded {
			return visitor{member.AccountID, member.CustomerID, row.ID, member.Role}, nil
		}
	}
	return c.actFor(r, customers[0])
}

// actFor finds the customer's subscription. An account without one, as that of an invited colleague, is no customer.
func (c *console) actFor(r *http.Request, member projections.Member) (visitor, error) {
	row, known, err := c.Models.Subscriptions.OfCustomer(r.Context(), member.CustomerID)
	if err != nil {
		return visitor{}, err
	}
	v := visitor{member.AccountID, member.CustomerID, row.ID, member.Role}
	if known {
		return v, nil
	}
	registered, err := c.Accounts.Account(r.Context(), member.CustomerID)
	if err != nil {
		return visitor{}, err
	}
	if v.subscription = registered.SubscriptionID; v.subscription == uuid.Nil {
		return visitor{}, errNoCustomer
	}
	return v, nil
}
