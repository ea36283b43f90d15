package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ErasePersonalData makes what is sealed under the key of one account or registration unreadable for ever, without touching
// the log, and closes it. ErasePerson and EraseCustomer say which that are.
type ErasePersonalData struct {
	By           commands.Origin
	CustomerID   uuid.UUID
	WithCustomer bool // the customer with this id is being erased too: no hold can be placed on it from then on
}

// ErasePersonalData runs the command; it may be repeated until it succeeds. The addresses are released last: until then a
// repetition still finds the account by them. An account under a legal hold is refused.
func (c *Commands) ErasePersonalData(ctx context.Context, cmd ErasePersonalData) error {
	account, err := c.Account(ctx, cmd.CustomerID)
	if err != nil {
		return err
	}
	if !account.Registered() {
		return domain.ErrNotRegistered
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.CustomerID),
		func(s domain.Account) ([]domain.Event, error) {
			return s.ErasePersonalData(cmd.WithCustomer, c.Now())
		})
	if err != nil {
		return err
	}
	if err := c.vault.Destroy(ctx, cmd.CustomerID); err != nil {
		return commands.Unavailable(fmt.Errorf("destroy the key of personal data: %w", err))
	}
	return c.releaseAddresses(ctx, cmd.By, done.State)
}
