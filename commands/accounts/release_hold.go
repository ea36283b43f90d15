package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ReleaseHold ends a legal hold.
type ReleaseHold struct {
	By        commands.Origin
	AccountID uuid.UUID
	HoldID    uuid.UUID
	Why       string
}

// ReleaseHold runs the command and returns the holds that still stand, and what waits for them.
func (c *Commands) ReleaseHold(ctx context.Context, cmd ReleaseHold) (domain.LegalHolds, error) {
	account, err := c.Account(ctx, cmd.AccountID)
	if err == nil {
		_, err = account.ReleaseHold(cmd.HoldID, "", c.Now()) // a reason is sealed for nothing that is refused
	}
	if err != nil {
		return domain.LegalHolds{}, err
	}
	why, err := c.sealReason(ctx, account, cmd.Why)
	if err != nil {
		return domain.LegalHolds{}, err
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.AccountID), func(s domain.Account) ([]domain.Event, error) {
		return s.ReleaseHold(cmd.HoldID, why, c.Now())
	})
	return done.State.Holds, err
}
