package console

import (
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

type peopleAnswer struct {
	People      []personAnswer     `json:"people"`
	Invitations []invitationAnswer `json:"invitations"`
	Role        domain.Role        `json:"role"` // of who asks
}

type personAnswer struct {
	Account uuid.UUID   `json:"account"`
	Name    string      `json:"name"`
	Email   string      `json:"email"`
	Role    domain.Role `json:"role"`
	Since   time.Time   `json:"since"`
	You     bool        `json:"you"`
}

type invitationAnswer struct {
	ID        uuid.UUID   `json:"id"`
	Email     string      `json:"email"`
	Role      domain.Role `json:"role"`
	InvitedAt time.Time   `json:"invitedAt"`
	ExpiresAt time.Time   `json:"expiresAt"`
	Expired   bool        `json:"expired"`
}

// readPeople lists who may act for the customer and who is invited to.
func (c *console) readPeople(r *http.Request, user visitor) (any, error) {
	ctx := r.Context()
	people, err := c.Models.Members.PeopleOf(ctx, user.customer)
	if err != nil {
		return nil, err
	}
	answer := peopleAnswer{People: []personAnswer{}, Invitations: []invitationAnswer{}, Role: user.role}
	for _, member := range people {
		login, known, err := c.Models.Accounts.Account(ctx, member.AccountID)
		if err != nil {
			return nil, err
		}
		if login.Status == projections.AccountErased {
			continue
		}
		answer.People = append(answer.People, personAnswer{
			Account: member.AccountID, Name: nameOf(login.Person, known), Email: login.Person.Email, Role: member.Role, Since: member.Since,
			You: member.AccountID == user.account,
		})
	}
	invitations, err := c.Models.Members.InvitationsOf(ctx, user.customer)
	if err != nil {
		return nil, err
	}
	for _, i := range invitations {
		answer.Invitations = append(answer.Invitations, invitationAnswer{
			ID: i.ID, Email: i.Email, Role: i.Role, InvitedAt: i.InvitedAt, ExpiresAt: i.ExpiresAt, Expired: !c.Now().Before(i.ExpiresAt),
		})
	}
	return answer, nil
}

// inviteMember mails an invitation. Mails are counted by customer: an owner could otherwise mail anybody without end.
func (c *console) inviteMember(r *http.Request, user visitor) (any, error) {
	var body struct {
		Email string      `json:"email"`
		Role  domain.Role `json:"role"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	if err := c.countAttempt(r.Context(), invitationOfCustomer, user.customer.String()); err != nil {
		return nil, err
	}
	position, err := c.Accounts.InviteMember(r.Context(), accounts.InviteMember{
		By: user.by(r.Context()), CustomerID: user.customer, Email: body.Email, Role: body.Role,
	})
	if err != nil {
		c.refundAttempt(r.Context(), invitationOfCustomer, user.customer.String()) // no mail went out
		return nil, err
	}
	return done{position}, nil
}

func (c *console) withdrawInvitation(r *http.Request, user visitor) (any, error) {
	invitation, err := pathID(r, "invitation")
	if err != nil {
		return nil, err
	}
	position, err := c.Accounts.WithdrawInvitation(r.Context(), accounts.WithdrawInvitation{
		By: user.by(r.Context()), CustomerID: user.customer, InvitationID: invitation,
	})
	return done{position}, err
}

func (c *console) changeMemberRole(r *http.Request, user visitor) (any, error) {
	var body struct {
		To domain.Role `json:"to"`
	}
	account, err := pathID(r, "account")
	if err == nil {
		err = readJSON(r, &body)
	}
	if err != nil {
		return nil, err
	}
	position, err := c.Accounts.ChangeMemberRole(r.Context(), accounts.ChangeMemberRole{
		By: user.by(r.Context()), CustomerID: user.customer, AccountID: account, To: body.To,
	})
	return done{position}, err
}

func (c *console) passOwnershipOn(r *http.Request, user visitor) (any, error) {
	account, err := pathID(r, "account")
	if err != nil {
		return nil, err
	}
	position, err := c.Accounts.PassOwnershipOn(r.Context(), accounts.PassOwnershipOn{By: user.by(r.Context()), CustomerID: user.customer, To: account})
	return done{position}, err
}

func (c *console) removeMember(r *http.Request, user visitor) (any, error) {
	account, err := pathID(r, "account")
	if err != nil {
		return nil, err
	}
	position, err := c.Accounts.RemoveMember(r.Context(), accounts.RemoveMember{By: user.by(r.Context()), CustomerID: user.customer, AccountID: account})
	return done{position}, err
}

// pathID reads an id out of a request's path.
func pathID(r *http.Request, name string) (uuid.UUID, error) {
	id, err := uuid.Parse(mux.Vars(r)[name])
	if err != nil {
		return id, domain.Invalid(name, "This is not an id that the list of people shows.")
	}
	return id, nil
}
