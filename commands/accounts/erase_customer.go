package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// EraseCustomer erases what is known of a customer and of the people who act for no other.
type EraseCustomer struct {
	By         commands.Origin
	CustomerID uuid.UUID
	People     []uuid.UUID // who act for this customer only, as the read model has it
}

// EraseCustomer runs the command; it may be repeated until it succeeds. That nobody acts for the customer comes behind the
// people: until then a repetition still finds who does. Invitations are forgotten last, when nobody can accept one any more.
// Who registered it and acts for other customers too keeps their login, and what they entered with it. While the customer or one
// of the people is under a legal hold, nothing is erased.
func (c *Commands) EraseCustomer(ctx context.Context, cmd EraseCustomer) error {
	registration, err := c.Account(ctx, cmd.CustomerID)
	if err != nil {
		return err
	}
	if !registration.Registered() {
		return domain.ErrNotRegistered
	}
	erase := cmd.People
	if !registration.Active { // it is nobody's login
		erase = append([]uuid.UUID{cmd.CustomerID}, erase...)
	}
	if err := c.RespectHolds(ctx, cmd.By, cmd.CustomerID, append([]uuid.UUID{cmd.CustomerID}, erase...)); err != nil {
		return err
	}
	for _, account := range erase {
		if err := c.ErasePersonalData(ctx, ErasePersonalData{By: cmd.By, CustomerID: account, WithCustomer: account == cmd.CustomerID}); err != nil {
			return err
		}
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.MembersStream(cmd.CustomerID),
		func(m domain.Members) ([]domain.Event, error) {
			return m.Of(cmd.CustomerID).Erase(c.Now()), nil
		})
	if err != nil {
		return err
	}
	for _, invitation := range done.State.Invitations {
		if err := c.forgetInvitation(ctx, invitation.ID); err != nil {
			return err
		}
	}
	if err := c.vault.Destroy(ctx, domain.CustomerKeyID(cmd.CustomerID)); err != nil {
		return commands.Unavailable(fmt.Errorf("destroy the customer's own key of personal data: %w", err))
	}
	return nil
}
