package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// The address of an invitation is sealed under a key of the invitation's own. Who is invited is no customer yet and may never
// be one: when nobody accepts, the key is destroyed and the address with it; when somebody new does, their account has the
// invitation's id, and the key is theirs.

// OpenInvitation is what a link to an invitation stands for.
type OpenInvitation struct {
	Link
	Role      domain.Role
	Email     string
	Company   string    // of the customer, "" when it is not known any more
	AccountID uuid.UUID // whose login name the address is, Nil when there is none
}

// CheckInvitationLink returns what a link stands for, or why it may not be used, without using it.
func (c *Commands) CheckInvitationLink(ctx context.Context, token string) (OpenInvitation, error) {
	open, _, err := c.openInvitation(ctx, token)
	return open, err
}

func (c *Commands) openInvitation(ctx context.Context, token string) (OpenInvitation, domain.Invitation, error) {
	link, err := c.parseLink(LinkInvitation, token)
	if err != nil {
		return OpenInvitation{}, domain.Invitation{}, err
	}
	open := OpenInvitation{Link: link}
	members, err := c.Members(ctx, link.CustomerID)
	if err != nil {
		return open, domain.Invitation{}, err
	}
	invitation, err := members.CheckInvitation(link.RequestID, c.Now())
	if err != nil {
		return open, invitation, err
	}
	open.Role = invitation.Role
	email, err := c.vault.Decrypt(ctx, invitation.ID, invitation.Address)
	if errors.Is(err, ErrErased) {
		return open, invitation, domain.ErrLinkInvalid
	}
	if err != nil {
		return open, invitation, commands.Unavailable(fmt.Errorf("decrypt the address of an invitation: %w", err))
	}
	open.Email = string(email)
	if open.Company, err = c.companyOf(ctx, link.CustomerID); err != nil {
		return open, invitation, err
	}
	holder, err := c.AccountOfMail(ctx, open.Email)
	if holder.Active {
		open.AccountID = holder.CustomerID
	}
	return open, invitation, err
}

// Members reads who may act for a customer from its stream.
func (c *Commands) Members(ctx context.Context, customer uuid.UUID) (domain.Members, error) {
	members, err := commands.Read[domain.Members](ctx, c.Store, domain.MembersStream(customer))
	return members.Of(customer), err
}

// companyOf returns the name that a customer was registered with, fit to be shown to a stranger; "" when it is erased.
func (c *Commands) companyOf(ctx context.Context, customer uuid.UUID) (string, error) {
	registered, err := c.Account(ctx, customer)
	if err != nil || registered.Person == "" {
		return "", err
	}
	person, err := DecryptPerson(ctx, c.vault, customer, registered.Person)
	if errors.Is(err, ErrErased) {
		return "", nil
	}
	return domain.Visible(person.Company), commands.Unavailable(err)
}

// forgetInvitation makes the address of an invitation that nobody can use any more unreadable. The key of one that has
// become an account is the person's.
func (c *Commands) forgetInvitation(ctx context.Context, invitation uuid.UUID) error {
	account, err := c.Account(ctx, invitation)
	if err != nil || account.Registered() {
		return err
	}
	if err := c.vault.Destroy(ctx, invitation); err != nil {
		return commands.Unavailable(fmt.Errorf("destroy the key of an invitation: %w", err))
	}
	return nil
}

// decideOnMembers lets an owner decide about the people of a customer. Whether the user still is one is decided on the same
// revision.
func (c *Commands) decideOnMembers(
	ctx context.Context, by commands.Origin, customer uuid.UUID, decide func(domain.Members) ([]domain.Event, error),
) (commands.Result[domain.Members], error) {
	return commands.Execute(ctx, c.Executor, by, domain.MembersStream(customer), func(m domain.Members) ([]domain.Event, error) {
		m = m.Of(customer)
		if by.Account != uuid.Nil {
			if err := m.MayChange(by.Account); err != nil {
				return nil, err
			}
		}
		return decide(m)
	})
}
