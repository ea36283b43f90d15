package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RemoveSecondFactor has the password be enough for a login. That who asks knows it and a code is checked before; an operator
// who takes the factor from somebody without app and recovery codes is asked for neither.
type RemoveSecondFactor struct {
	By        commands.Origin
	AccountID uuid.UUID
}

// RemoveSecondFactor runs the command.
func (c *Commands) RemoveSecondFactor(ctx context.Context, cmd RemoveSecondFactor) error {
	_, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.AccountID), func(s domain.Account) ([]domain.Event, error) {
		return s.RemoveSecondFactor(c.Now())
	})
	return err
}
