package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ChangeMemberRole makes a person an owner or a reader.
type ChangeMemberRole struct {
	By         commands.Origin
	CustomerID uuid.UUID
	AccountID  uuid.UUID
	To         domain.Role
}

// ChangeMemberRole runs the command and returns the position to wait for.
func (c *Commands) ChangeMemberRole(ctx context.Context, cmd ChangeMemberRole) (uint64, error) {
	done, err := c.decideOnMembers(ctx, cmd.By, cmd.CustomerID, func(m domain.Members) ([]domain.Event, error) {
		return m.ChangeRole(cmd.AccountID, cmd.To, c.Now())
	})
	if err != nil {
		return 0, err
	}
	c.showMember(ctx, done.Position) // else the screens would show the former role
	return done.Position, nil
}
