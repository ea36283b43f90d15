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

// ResetPassword runs the command and returns the customer, whose sessions are to be closed.
func (c *Commands) ResetPassword(ctx context.Context, cmd ResetPassword) (uuid.UUID, error) {
	link, err := c.CheckResetLink(ctx, cmd.Token)
	if err != nil {
		return uuid.Nil, err
	}
	return link.CustomerID, c.setPassword(ctx, cmd.By, link.CustomerID, cmd.Password,
		func(s domain.Account, ciphertext domain.Ciphertext) ([]domain.Event, error) {
			return s.ResetPassword(link.RequestID, ciphertext, c.Now())
		})
}
