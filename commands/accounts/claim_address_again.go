package accounts

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
)

// ClaimAddressAgain claims the login name of an account under every secret that it is not claimed under yet.
type ClaimAddressAgain struct {
	By        commands.Origin
	AccountID uuid.UUID
}

// ClaimAddressAgain runs the command; it may be repeated. An account without a login name, or whose person is erased, has
// nothing to claim.
func (c *Commands) ClaimAddressAgain(ctx context.Context, cmd ClaimAddressAgain) error {
	account, err := c.Account(ctx, cmd.AccountID)
	if err != nil || !account.Active {
		return err
	}
	email, err := c.emailOf(ctx, account)
	if errors.Is(err, ErrErased) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.claimAddress(ctx, cmd.By, email, account.MailHash, cmd.AccountID); err != nil {
		return err
	}
	// The address may have changed meanwhile, or the account been closed: what was claimed then is given back.
	if account, err = c.Account(ctx, cmd.AccountID); err != nil {
		return err
	}
	return c.releaseAddresses(ctx, cmd.By, account)
}
