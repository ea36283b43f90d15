package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// PlaceHold keeps an account from being erased, and the customer that was registered with it.
type PlaceHold struct {
	By        commands.Origin
	AccountID uuid.UUID
	Why       string
}

// PlaceHold runs the command and returns the hold.
func (c *Commands) PlaceHold(ctx context.Context, cmd PlaceHold) (uuid.UUID, error) {
	account, err := c.Account(ctx, cmd.AccountID)
	if err == nil {
		err = account.CheckHold() // a reason is sealed for nobody who has no key
	}
	if err != nil {
		return uuid.Nil, err
	}
	why, err := c.sealReason(ctx, cmd.AccountID, cmd.Why)
	if err != nil {
		return uuid.Nil, err
	}
	hold := domain.DerivedID(cmd.By.CommandID, "legal hold")
	_, err = commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.AccountID), func(s domain.Account) ([]domain.Event, error) {
		return s.PlaceHold(hold, why, c.Now())
	})
	return hold, err
}
