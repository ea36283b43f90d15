package accounts

import (
	"context"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RequestPasswordReset asks for a reset link by mail.
type RequestPasswordReset struct {
	By    commands.Origin
	Email string
}

// RequestPasswordReset runs the command. It succeeds whether or not the address is known.
func (c *Commands) RequestPasswordReset(ctx context.Context, cmd RequestPasswordReset) error {
	account, err := c.AccountOfMail(ctx, cmd.Email)
	if err != nil || !account.Active {
		return err
	}
	reset := domain.DerivedID(cmd.By.CommandID, "reset")
	_, err = commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(account.CustomerID), func(s domain.Account) ([]domain.Event, error) {
		return s.RequestPasswordReset(reset, c.Now()), nil
	})
	return err
}
