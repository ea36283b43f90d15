package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RemoveMember lets a person no longer act for a customer. Their login stays.
type RemoveMember struct {
	By         commands.Origin
	CustomerID uuid.UUID
	AccountID  uuid.UUID
}

// RemoveMember runs the command and returns the position to wait for.
func (c *Commands) RemoveMember(ctx context.Context, cmd RemoveMember) (uint64, error) {
	done, err := c.decideOnMembers(ctx, cmd.By, cmd.CustomerID, func(m domain.Members) ([]domain.Event, error) {
		return m.Remove(cmd.AccountID, c.Now())
	})
	if err != nil {
		return 0, err
	}
	c.showMember(ctx, done.Position) // else the screens would show the former role
	return done.Position, nil
}
