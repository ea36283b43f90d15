package commands

import (
	"context"

	"github.com/pas-ta/liveness/domain"
)

// RequestPasswordReset asks for a reset link by mail.
type RequestPasswordReset struct {
	By    Origin
	Email string
}

// RequestPasswordReset runs the command. It succeeds whether or not the address is known.
func (a *Application) RequestPasswordReset(ctx context.Context, cmd RequestPasswordReset) error {
	account, err := a.accountOfMail(ctx, cmd.Email)
	if err != nil || !account.Active {
		return err
	}
	reset := domain.DerivedID(cmd.By.CommandID, "reset")
	_, err = Execute(ctx, a.Executor, cmd.By, domain.AccountStream(account.CustomerID), func(s domain.Account) ([]domain.Event, error) {
		return s.RequestPasswordReset(reset, a.Now()), nil
	})
	return err
}
