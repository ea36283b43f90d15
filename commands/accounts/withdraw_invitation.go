package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// WithdrawInvitation makes an invitation void before it is accepted.
type WithdrawInvitation struct {
	By           commands.Origin
	CustomerID   uuid.UUID
	InvitationID uuid.UUID
}

// WithdrawInvitation runs the command and returns the position to wait for.
func (c *Commands) WithdrawInvitation(ctx context.Context, cmd WithdrawInvitation) (uint64, error) {
	done, err := c.decideOnMembers(ctx, cmd.By, cmd.CustomerID, func(m domain.Members) ([]domain.Event, error) {
		return m.WithdrawInvitation(cmd.InvitationID, c.Now()), nil
	})
	if err != nil || done.Position == 0 {
		return 0, err
	}
	return done.Position, c.forgetting(ctx, []uuid.UUID{cmd.InvitationID}, nil)
}
