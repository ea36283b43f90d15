package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ResendVerification asks for a fresh verification link; older ones no longer work.
type ResendVerification struct {
	By         commands.Origin
	CustomerID uuid.UUID
}

// ResendVerification runs the command.
func (c *Commands) ResendVerification(ctx context.Context, cmd ResendVerification) (Registration, error) {
	verification := domain.DerivedID(cmd.By.CommandID, "verification")
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.CustomerID), func(s domain.Account) ([]domain.Event, error) {
		return s.ResendVerification(verification, c.Now())
	})
	if err != nil {
		return Registration{}, err
	}
	return Registration{CustomerID: cmd.CustomerID, ExpiresAt: done.State.VerificationExpires, Position: done.Position}, nil
}

// ResendVerificationByLink asks for a fresh link on the strength of an older, expired one.
func (c *Commands) ResendVerificationByLink(ctx context.Context, by commands.Origin, token string) (Registration, error) {
	link, err := c.parseLink(LinkVerification, token)
	if err != nil {
		return Registration{}, err
	}
	return c.ResendVerification(ctx, ResendVerification{By: by, CustomerID: link.CustomerID})
}
