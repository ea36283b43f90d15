package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// AttachRegistration uses a verification link for somebody who has a login: the customer becomes theirs, and its keys are
// issued. No account of the customer's own comes to be.
type AttachRegistration struct {
	By        commands.Origin
	Token     string
	AccountID uuid.UUID
}

// AttachRegistration runs the command. The registration decides first, so that nobody can activate it beside; what a crash
// cuts off behind that goes on with the same link.
func (c *Commands) AttachRegistration(ctx context.Context, cmd AttachRegistration) (Activation, error) {
	link, err := c.parseLink(LinkVerification, cmd.Token)
	if err != nil {
		return Activation{}, err
	}
	login, err := c.Account(ctx, cmd.AccountID)
	if err != nil {
		return Activation{}, err
	}
	registered, err := c.Account(ctx, link.CustomerID)
	if err != nil {
		return Activation{}, err
	}
	same, err := c.sameAddress(ctx, registered, login)
	if err != nil {
		return Activation{}, err
	}
	registration, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(link.CustomerID),
		func(s domain.Account) ([]domain.Event, error) {
			if !login.Active || !same || s.MailHash != registered.MailHash { // or corrected meanwhile
				return nil, ErrWrongLogin
			}
			return s.Attach(link.RequestID, cmd.AccountID, c.Now())
		})
	if err != nil {
		return Activation{}, err
	}
	// A claim that an activation was cut off behind would lock the person out of nothing, but it is not theirs.
	if err := c.releaseAddresses(ctx, cmd.By, registration.State); err != nil {
		return Activation{}, err
	}
	owned, err := commands.Execute(ctx, c.Executor, cmd.By, domain.MembersStream(link.CustomerID),
		func(m domain.Members) ([]domain.Event, error) {
			return m.Attach(link.CustomerID, cmd.AccountID, c.Now())
		})
	if err != nil {
		return Activation{}, err
	}
	c.showMember(ctx, max(registration.Position, owned.Position))
	return c.activated(ctx, cmd.By, registration)
}
