package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// PassOwnershipOn makes another person owner in the place of the owner who decides it, who reads from then on.
type PassOwnershipOn struct {
	By         commands.Origin
	CustomerID uuid.UUID
	To         uuid.UUID
}

// PassOwnershipOn runs the command and returns the position to wait for.
func (c *Commands) PassOwnershipOn(ctx context.Context, cmd PassOwnershipOn) (uint64, error) {
	done, err := c.decideOnMembers(ctx, cmd.By, cmd.CustomerID, func(m domain.Members) ([]domain.Event, error) {
		return m.PassOwnershipOn(cmd.By.Account, cmd.To, c.Now())
	})
	if err != nil {
		return 0, err
	}
	c.showMember(ctx, done.Position) // else the screens would show the former role
	return done.Position, nil
}
