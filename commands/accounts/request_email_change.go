package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RequestEmailChange asks for a link to another address, which becomes the login name once the link is used.
type RequestEmailChange struct {
	By        commands.Origin
	AccountID uuid.UUID
	Password  string
	Email     string
}

// RequestEmailChange runs the command and returns the position to wait for. Whether the address has a login cannot be told
// from the answer.
func (c *Commands) RequestEmailChange(ctx context.Context, cmd RequestEmailChange) (uint64, error) {
	email := NormaliseMail(cmd.Email)
	if problem := mailProblem(email); problem != "" {
		return 0, domain.Invalid("email", "%s", problem)
	}
	if _, err := c.CheckPassword(ctx, cmd.AccountID, cmd.Password); err != nil {
		return 0, err
	}
	hashes := c.MailHashes(email)
	change := domain.EmailChange{
		ID: domain.DerivedID(cmd.By.CommandID, "email-change"), MailHash: hashes[0].Hash, OtherHashes: hashesOf(hashes[1:]),
	}
	var err error
	if change.Address, err = c.vault.Encrypt(ctx, cmd.AccountID, []byte(email)); err != nil {
		return 0, commands.Unavailable(fmt.Errorf("encrypt a mail address: %w", err))
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.AccountID),
		func(s domain.Account) ([]domain.Event, error) {
			return s.RequestEmailChange(change, c.Now())
		})
	return done.Position, err
}
