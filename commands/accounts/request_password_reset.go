package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RequestPasswordReset asks for a reset link by mail.
type RequestPasswordReset struct {
	By    commands.Origin
	Email string
}

// ErrNotRequested says that a reset for an address that is known could not be written down. Whoever asks must not be told.
var ErrNotRequested = errors.New("the reset is not requested")

// RequestPasswordReset runs the command. It succeeds whether or not the address is known, and fails with ErrNotRequested only
// when it is.
func (c *Commands) RequestPasswordReset(ctx context.Context, cmd RequestPasswordReset) error {
	account, err := c.AccountOfMail(ctx, cmd.Email)
	if err != nil || !account.Active {
		return err
	}
	reset := domain.DerivedID(cmd.By.CommandID, "reset")
	_, err = commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(account.CustomerID), func(s domain.Account) ([]domain.Event, error) {
		return s.RequestPasswordReset(reset, c.Now()), nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotRequested, err)
	}
	return nil
}
