package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
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
	if named != uuid.Nil {
		return c.actFor(r, account, named)
	}
	if chosen := c.sessionID(r, sessionCustomer); chosen != uuid.Nil {
		if v, err := c.actFor(r, account, chosen); !belongsToNone(err) {
			return v, err
		}
	}
	customers, err := c.servedFirst(r, account)
	if err != nil {
		return visitor{}, err
	}
	for _, customer := range append(customers, account) { // who has registered moments ago is in no read model yet
		if v, err := c.actFor(r, account, customer); !belongsToNone(err) {
			return v, err
		}
	}
	return visitor{}, errNoCustomer
}

func belongsToNone(err error) bool {
	return errors.Is(err, domain.ErrNotAMember) || errors.Is(err, errNoCustomer)
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

// servedFirst lists the customers that an account acts for, as the read model has it: first those whose subscription has not ended.
func (c *console) servedFirst(r *http.Request, account uuid.UUID) ([]uuid.UUID, error) {
	members, err := c.Models.Members.CustomersOf(r.Context(), account)
	if err != nil {
		return nil, err
	}
	var served, ended []uuid.UUID
	for _, member := range members {
		row, known, err := c.Models.Subscriptions.OfCustomer(r.Context(), member.CustomerID)
		if err != nil {
			return nil, err
		}
		if known && row.Status != domain.StatusEnded {
			served = append(served, member.CustomerID)
		} else {
			ended = append(ended, member.CustomerID)
		}
	}
	return append(served, ended...), nil
}

// actFor asks the log whether an account may act for a customer: the read model lets somebody in whom it does not know to be
// removed yet, for as long as it stands still. While the log cannot be reached, a role that the read model shows goes on, and who
// has none there is told to come again: they may have joined moments ago.
func (c *console) actFor(r *http.Request, account, customer uuid.UUID) (visitor, error) {
	v := visitor{account: account, customer: customer}
	members, err := c.Accounts.Members(r.Context(), customer)
	v.role = members.Roles[account]
	if errors.Is(err, commands.ErrStoreUnavailable) {
		if shown, unread := c.shownRole(r, account, customer); unread == nil && shown != "" {
			v.role, err = shown, nil
		}
	}
	if err == nil && v.role == "" {
		err = domain.ErrNotAMember
	}
	if err != nil {
		return visitor{}, err
	}
	v.subscription, err = c.subscriptionOf(r, customer)
	return v, err
}

// shownRole returns the role that the read model knows an account in; empty for none.
func (c *console) shownRole(r *http.Request, account, customer uuid.UUID) (domain.Role, error) {
	people, err := c.Models.Members.PeopleOf(r.Context(), customer)
	for _, p := range people {
		if p.AccountID == account {
			return p.Role, nil
		}
	}
	return "", err
}

// subscriptionOf finds a customer's subscription. An account without one, as that of an invited colleague, is no customer.
func (c *console) subscriptionOf(r *http.Request, customer uuid.UUID) (uuid.UUID, error) {
	row, known, err := c.Models.Subscriptions.OfCustomer(r.Context(), customer)
	if err != nil || known {
		return row.ID, err
	}
	registered, err := c.Accounts.Account(r.Context(), customer)
	if err == nil && registered.SubscriptionID == uuid.Nil {
		err = errNoCustomer
	}
	return registered.SubscriptionID, err
}
