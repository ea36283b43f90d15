package console

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

type sessionAnswer struct {
	Account   uuid.UUID        `json:"account"`
	FirstName string           `json:"firstName"`
	LastName  string           `json:"lastName"`
	Email     string           `json:"email"`
	Customer  *uuid.UUID       `json:"customer"` // for which the screens are; null without any
	Company   string           `json:"company"`
	Plan      string           `json:"plan"`
	Status    string           `json:"status"`
	Role      domain.Role      `json:"role"`
	Customers []customerAnswer `json:"customers"` // that the login may act for, ended ones too
	Support   string           `json:"support"`
	BaseURL   string           `json:"baseUrl"`
	Market    string           `json:"market"` // product page on AWS Marketplace; may be empty

	StartsAt *time.Time `json:"startsAt"` // of a contract that has not started

	MailProblem string `json:"mailProblem"` // why our mails to the login's address do not arrive; empty while they do
}

type customerAnswer struct {
	ID           uuid.UUID   `json:"id"`
	Company      string      `json:"company"` // empty when it was erased
	Subscription string      `json:"subscription"`
	Plan         string      `json:"plan"`
	Status       string      `json:"status"`
	Role         domain.Role `json:"role"`

	startsAt *time.Time
}

// readSession says who is logged in and for which customers, for what frames every screen. An account that was closed logs
// its session out.
func (c *console) readSession(r *http.Request, account uuid.UUID) (any, error) {
	ctx := r.Context()
	login, known, err := c.Models.Accounts.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	if known && login.Status == projections.AccountErased {
		c.closeSession(r)
		return nil, errLoggedOut
	}
	p := login.Person
	answer := sessionAnswer{
		Account: account, FirstName: p.FirstName, LastName: p.LastName, Email: p.Email, Customers: []customerAnswer{},
		Support: c.SupportMail, BaseURL: c.PublicURL.String(), Market: c.MarketplaceURL,
	}
	if c.Mails != nil {
		delivery, err := c.Accounts.LoginDelivery(ctx, account, c.Mails)
		if err != nil && !errors.Is(err, commands.ErrStoreUnavailable) { // that a mail was refused is said when the log is back
			return nil, err
		}
		if delivery.Refused != nil {
			answer.MailProblem = refusalWords(*delivery.Refused)
		}
	}
	user, err := c.visitorOf(r, account)
	if errors.Is(err, errNoCustomer) {
		return answer, nil
	}
	if err != nil {
		return nil, err
	}
	customers, err := c.Models.Members.CustomersOf(ctx, account)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(customers, func(m projections.Member) bool { return m.CustomerID == user.customer }) { // see visitorOf
		customers = append(customers, projections.Member{CustomerID: user.customer})
	}
	for _, member := range customers {
		as, err := user, error(nil)
		if member.CustomerID != user.customer {
			as, err = c.actFor(r, account, member.CustomerID)
		}
		if belongsToNone(err) { // any more
			continue
		}
		if err != nil {
			return nil, err
		}
		one, err := c.customer(r, as)
		if err != nil {
			return nil, err
		}
		if one.ID == user.customer {
			answer.Customer, answer.Company, answer.Plan, answer.Status, answer.Role = &one.ID, one.Company, one.Plan, one.Status, one.Role
			answer.StartsAt = one.startsAt
		}
		answer.Customers = append(answer.Customers, one)
	}
	return answer, nil
}

func (c *console) customer(r *http.Request, user visitor) (customerAnswer, error) {
	row, err := c.subscription(r, user.subscription)
	if err != nil {
		return customerAnswer{}, err
	}
	var startsAt *time.Time
	if row.Status == domain.StatusScheduled {
		startsAt = &row.StartedAt
	}
	registered, _, err := c.Models.Accounts.Account(r.Context(), user.customer)
	return customerAnswer{
		startsAt: startsAt,
		ID:       user.customer, Company: registered.Person.Company, Subscription: row.Marketplace.DisplayID(),
		Plan: c.planName(row.Plan), Status: string(row.Status), Role: user.role,
	}, err
}

// chooseCustomer remembers for which customer the next tab begins.
func (c *console) chooseCustomer(r *http.Request, account uuid.UUID) (any, error) {
	user, err := c.visitorOf(r, account)
	if err != nil {
		return nil, err
	}
	c.sessions.Put(r.Context(), sessionCustomer, user.customer.String())
	return struct{}{}, nil
}
