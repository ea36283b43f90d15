package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// PlaceHold keeps an account from being erased, and the customer that was registered with it: also when others act for the
// customer since, and the account is erased.
type PlaceHold struct {
	By        commands.Origin
	AccountID uuid.UUID
	Why       string
}

// PlaceHold runs the command and returns the hold.
func (c *Commands) PlaceHold(ctx context.Context, cmd PlaceHold) (uuid.UUID, error) {
	account, err := c.Account(ctx, cmd.AccountID)
	if err != nil {
		return uuid.Nil, err
	}
	members, err := c.Members(ctx, cmd.AccountID)
	if err != nil {
		return uuid.Nil, err
	}
	others := members.HasOwnerBeside(cmd.AccountID)
	if err := account.CheckHold(others); err != nil { // a reason is sealed for nobody who has no key
		return uuid.Nil, err
	}
	why, err := c.sealReason(ctx, account, cmd.Why)
	if err != nil {
		return uuid.Nil, err
	}
	hold := domain.DerivedID(cmd.By.CommandID, "legal hold")
	_, err = commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.AccountID), func(s domain.Account) ([]domain.Event, error) {
		return s.PlaceHold(hold, why, others, c.Now())
	})
	return hold, err
}
