package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RegisterInvitee gives somebody without a login one, of the invitation's id, and lets them act for the customer.
type RegisterInvitee struct {
	By        commands.Origin
	Token     string
	FirstName string
	LastName  string
	Password  string
}

// RegisterInvitee runs the command and returns the customer. The address is claimed first, as in an activation. The people of the
// customer decide last whether the invitation still stands: when it was withdrawn or replaced meanwhile, its key is destroyed
// or about to be, and the account is closed again.
func (c *Commands) RegisterInvitee(ctx context.Context, cmd RegisterInvitee) (uuid.UUID, error) {
	open, invitation, err := c.openInvitation(ctx, cmd.Token)
	if err != nil {
		return uuid.Nil, err
	}
	person := Person{FirstName: cmd.FirstName, LastName: cmd.LastName, Email: open.Email}.Normalise()
	if err := person.validateName(); err != nil {
		return uuid.Nil, err
	}
	account := invitation.ID
	password, err := c.encryptPassword(ctx, account, person, cmd.Password)
	var ciphertext domain.Ciphertext
	if err == nil {
		ciphertext, err = c.encryptPerson(ctx, account, person)
	}
	if errors.Is(err, ErrErased) {
		return uuid.Nil, domain.ErrLinkInvalid
	}
	if err != nil {
		return uuid.Nil, err
	}
	if err := c.claimAddress(ctx, cmd.By, open.Email, invitation.MailHash, account); err != nil {
		return uuid.Nil, err
	}
	if _, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(account), func(s domain.Account) ([]domain.Event, error) {
		events, err := s.AcceptInvitation(account, ciphertext, invitation.MailHash, password, c.Now())
		for _, event := range events {
			s = s.Fold(event)
		}
		return append(events, s.RehashAddress(invitation.MailHash, c.MailHashes(open.Email), c.Now())...), err
	}); err != nil {
		return uuid.Nil, err
	}
	// Until the account was active, its claim could be taken for one that was left behind.
	if err := c.claimAddress(ctx, cmd.By, open.Email, invitation.MailHash, account); err != nil {
		return uuid.Nil, fmt.Errorf("keep the address of account %s: %w", account, err)
	}
	err = c.join(ctx, cmd.By, open.Link, account)
	if errors.Is(err, domain.ErrLinkInvalid) || errors.Is(err, domain.ErrLinkUsed) || errors.Is(err, domain.ErrLinkExpired) {
		if err := c.ErasePersonalData(ctx, ErasePersonalData{By: cmd.By, CustomerID: account}); err != nil {
			return uuid.Nil, fmt.Errorf("close the account of a void invitation: %w", err)
		}
	}
	return open.CustomerID, err
}
