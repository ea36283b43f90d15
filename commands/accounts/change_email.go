package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ChangeEmail uses a link that was mailed to a new address: it is the login name from then on.
type ChangeEmail struct {
	By    commands.Origin
	Token string
}

// NewEmail is what a link to a new address stands for.
type NewEmail struct {
	Link
	Email string
}

// CheckEmailChangeLink returns what a link stands for, or why it may not be used, without using it.
func (c *Commands) CheckEmailChangeLink(ctx context.Context, token string) (NewEmail, error) {
	change, _, err := c.emailChange(ctx, token)
	return change, err
}

func (c *Commands) emailChange(ctx context.Context, token string) (NewEmail, domain.Account, error) {
	link, err := c.parseLink(LinkEmailChange, token)
	if err != nil {
		return NewEmail{}, domain.Account{}, err
	}
	account, err := c.Account(ctx, link.CustomerID)
	if err != nil {
		return NewEmail{}, account, err
	}
	if err := account.CheckEmailChange(link.RequestID, c.Now()); err != nil {
		return NewEmail{Link: link}, account, err
	}
	email, err := c.vault.Decrypt(ctx, link.CustomerID, account.Change.Address)
	if err != nil {
		return NewEmail{Link: link}, account, commands.Unavailable(fmt.Errorf("decrypt a mail address: %w", err))
	}
	return NewEmail{Link: link, Email: string(email)}, account, nil
}

// ChangeEmail runs the command and returns the account. The new address is claimed first; the old one is released last, and
// until then nobody else can log in with it.
func (c *Commands) ChangeEmail(ctx context.Context, cmd ChangeEmail) (uuid.UUID, error) {
	change, account, err := c.emailChange(ctx, cmd.Token)
	if err != nil {
		return uuid.Nil, err
	}
	person, err := DecryptPerson(ctx, c.vault, change.CustomerID, account.Person)
	if err != nil {
		return uuid.Nil, commands.Unavailable(fmt.Errorf("decrypt whose address changes: %w", err))
	}
	person.Email = change.Email
	ciphertext, err := c.encryptPerson(ctx, change.CustomerID, person)
	if err != nil {
		return uuid.Nil, err
	}
	if err := c.claimAddress(ctx, cmd.By, change.Email, account.Change.MailHash, change.CustomerID); err != nil {
		return uuid.Nil, err
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(change.CustomerID),
		func(s domain.Account) ([]domain.Event, error) {
			return s.ChangeEmail(change.RequestID, ciphertext, c.Now())
		})
	if released := c.releaseAddresses(ctx, cmd.By, done.State); released != nil {
		c.log.WarnContext(ctx, "address stays claimed until another account asks for it", "account", change.CustomerID, "error", released)
	}
	return change.CustomerID, err
}
