package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ResetPassword sets a new password with a reset link.
type ResetPassword struct {
	By       commands.Origin
	Token    string
	Password string
}

// CheckResetLink returns what a link stands for, or why it may not be used, without using it.
func (c *Commands) CheckResetLink(ctx context.Context, token string) (Link, error) {
	link, err := c.parseLink(LinkPasswordReset, token)
	if err != nil {
		return Link{}, err
	}
	account, err := c.Account(ctx, link.CustomerID)
	if err != nil {
		return Link{}, err
	}
	return link, account.CheckReset(link.RequestID, c.Now())
}

// PasswordReset is whose password was set anew.
type PasswordReset struct {
	AccountID uuid.UUID
	Email     string
}

// ResetPassword runs the command and returns whose sessions are to be ended, and who may try again to log in.
func (c *Commands) ResetPassword(ctx context.Context, cmd ResetPassword) (PasswordReset, error) {
	link, err := c.CheckResetLink(ctx, cmd.Token)
	if err != nil {
		return PasswordReset{}, err
	}
	account, err := c.Account(ctx, link.CustomerID)
	if err != nil {
		return PasswordReset{}, err
	}
	person, err := c.personOf(ctx, account)
	if err != nil {
		return PasswordReset{}, err
	}
	return PasswordReset{AccountID: link.CustomerID, Email: person.Email}, c.setPassword(ctx, cmd.By, link.CustomerID, person, cmd.Password,
		func(s domain.Account, ciphertext domain.Ciphertext) ([]domain.Event, error) {
			return s.ResetPassword(link.RequestID, ciphertext, c.Now())
		})
}
