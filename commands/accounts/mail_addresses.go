package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// MailHash returns what an address is looked up by.
func (c *Commands) MailHash(address string) string { return mailHash(c.secret, address) }

// AccountOfMail returns the account whose login name an address is; the zero account when there is none.
func (c *Commands) AccountOfMail(ctx context.Context, address string) (domain.Account, error) {
	return c.holderOf(ctx, c.MailHash(address))
}

// holderOf returns the account that has claimed an address, by the address's hash.
func (c *Commands) holderOf(ctx context.Context, mailHash string) (domain.Account, error) {
	address, err := commands.Read[domain.MailAddress](ctx, c.Store, domain.MailAddressStream(mailHash))
	if err != nil || address.Owner == uuid.Nil {
		return domain.Account{}, err
	}
	return c.Account(ctx, address.Owner)
}

// claimAddress makes an address the login name of an account. From an account that can no longer use it, because its
// registration was corrected or its link has expired while a command was cut off behind its claim, it is taken away.
func (c *Commands) claimAddress(ctx context.Context, by commands.Origin, mailHash string, account uuid.UUID) error {
	claim := func() error {
		_, err := commands.Execute(ctx, c.Executor, by, domain.MailAddressStream(mailHash),
			func(m domain.MailAddress) ([]domain.Event, error) {
				return m.Claim(account, c.Now())
			})
		return err
	}
	taken := claim()
	if !errors.Is(taken, domain.ErrMailAddressTaken) {
		return taken
	}
	address, err := commands.Read[domain.MailAddress](ctx, c.Store, domain.MailAddressStream(mailHash))
	if err != nil {
		return err
	}
	holder, err := c.Account(ctx, address.Owner)
	if err != nil {
		return err
	}
	if holder.MayHold(mailHash, c.Now()) {
		return taken
	}
	if err := c.releaseAddress(ctx, by, mailHash, address.Owner); err != nil {
		return err
	}
	return claim()
}

func (c *Commands) releaseAddress(ctx context.Context, by commands.Origin, mailHash string, account uuid.UUID) error {
	_, err := commands.Execute(ctx, c.Executor, by, domain.MailAddressStream(mailHash),
		func(m domain.MailAddress) ([]domain.Event, error) {
			return m.Release(account, c.Now()), nil
		})
	return err
}

// releaseAddresses gives back the addresses that an account once had and may not hold any more.
func (c *Commands) releaseAddresses(ctx context.Context, by commands.Origin, account domain.Account) error {
	for _, hash := range account.MailHashes {
		if account.MayHold(hash, c.Now()) {
			continue
		}
		if err := c.releaseAddress(ctx, by, hash, account.CustomerID); err != nil {
			return fmt.Errorf("release an address of account %s: %w", account.CustomerID, err)
		}
	}
	return nil
}
