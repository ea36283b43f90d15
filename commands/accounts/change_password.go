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

// ErrWrongPassword refuses what is only for who knows the password.
var ErrWrongPassword = &domain.Error{Kind: domain.KindInvalid, Code: "wrong_password", Field: "currentPassword",
	Message: "The current password is not right."}

// CheckPassword returns an account when a password is its own, else ErrWrongPassword.
func (c *Commands) CheckPassword(ctx context.Context, id uuid.UUID, password string) (domain.Account, error) {
	account, err := c.Account(ctx, id)
	if err != nil {
		return account, err
	}
	matches, err := c.passwordMatches(ctx, id, account.PasswordHash, password)
	if err != nil {
		return account, commands.Unavailable(err)
	}
	if !matches {
		return account, ErrWrongPassword
	}
	return account, nil
}

// ChangePassword runs the command.
func (c *Commands) ChangePassword(ctx context.Context, cmd ChangePassword) error {
	account, err := c.CheckPassword(ctx, cmd.CustomerID, cmd.Current)
	if err != nil {
		return err
	}
	person, err := c.personOf(ctx, account)
	if err != nil {
		return err
	}
	return c.setPassword(ctx, cmd.By, cmd.CustomerID, person, cmd.New,
		func(s domain.Account, ciphertext domain.Ciphertext) ([]domain.Event, error) {
			return s.ChangePassword(ciphertext, c.Now())
		})
}
