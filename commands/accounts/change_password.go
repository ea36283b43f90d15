package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ChangePassword sets a new password with the old one.
type ChangePassword struct {
	By         commands.Origin
	CustomerID uuid.UUID
	Current    string
	New        string
}

// ErrWrongPassword refuses a change whose old password is not right.
var ErrWrongPassword = &domain.Error{Kind: domain.KindInvalid, Code: "wrong_password", Field: "currentPassword",
	Message: "The current password is not right."}

// ChangePassword runs the command.
func (c *Commands) ChangePassword(ctx context.Context, cmd ChangePassword) error {
	account, err := c.Account(ctx, cmd.CustomerID)
	if err != nil {
		return err
	}
	matches, err := c.passwordMatches(ctx, cmd.CustomerID, account.PasswordHash, cmd.Current)
	if err != nil {
		return commands.Unavailable(err)
	}
	if !matches {
		return ErrWrongPassword
	}
	return c.setPassword(ctx, cmd.By, cmd.CustomerID, cmd.New,
		func(s domain.Account, ciphertext domain.Ciphertext) ([]domain.Event, error) {
			return s.ChangePassword(ciphertext, c.Now())
		})
}
