package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// MailHashes returns what an address is looked up by, under each secret: first under the one in use.
func (c *Commands) MailHashes(address string) []domain.AddressHash {
	var hashes []domain.AddressHash
	for _, secret := range c.ring.Secrets(commands.PurposeMailLookup) {
		hashes = append(hashes, domain.AddressHash{SecretID: secret.ID, Hash: mailHash(secret, address)})
	}
	return hashes
}

// MailHashTexts returns the hashes alone.
func (c *Commands) MailHashTexts(address string) []string { return hashesOf(c.MailHashes(address)) }

func hashesOf(hashes []domain.AddressHash) []string {
	var texts []string
	for _, h := range hashes {
		texts = append(texts, h.Hash)
	}
	return texts
}

// AccountOfMail returns the account whose login name an address is; the zero account when there is none. It looks under every
// secret, whatever it finds, so that the time it takes says nothing.
func (c *Commands) AccountOfMail(ctx context.Context, address string) (domain.Account, error) {
	var owner uuid.UUID
	for _, h := range c.MailHashes(address) {
		claimed, err := commands.Read[domain.MailAddress](ctx, c.Store, domain.MailAddressStream(h.Hash))
		if err != nil {
			return domain.Account{}, err
		}
		if owner == uuid.Nil {
			owner = claimed.Owner
		}
	}
	if owner == uuid.Nil {
		return domain.Account{}, nil
	}
	return c.Account(ctx, owner)
}

// sameAddress returns whether two accounts have one address.
func (c *Commands) sameAddress(ctx context.Context, one, other domain.Account) (bool, error) {
	if one.MailHash == other.MailHash {
		return true, nil
	}
	if one.Person == "" || other.Person == "" {
		return false, nil
	}
	address, err := c.emailOf(ctx, one)
	if err != nil {
		return false, err
	}
	second, err := c.emailOf(ctx, other)
	return NormaliseMail(address) == NormaliseMail(second), err
}

// claimAddress makes an address the login name of an account that knows it by the hash known. It is claimed under every
// secret, in the same order everywhere, so that of two accounts only one gets it, also while nodes differ in which of the secrets
// they know or use. The account is told of the hashes first: nobody may take for left behind what is its own.
func (c *Commands) claimAddress(ctx context.Context, by commands.Origin, address, known string, account uuid.UUID) error {
	hashes := c.MailHashes(address)
	slices.SortFunc(hashes, func(a, b domain.AddressHash) int { return cmp.Compare(a.SecretID, b.SecretID) })
	if _, err := commands.Execute(ctx, c.Executor, by, domain.AccountStream(account), func(s domain.Account) ([]domain.Event, error) {
		return s.RehashAddress(known, hashes, c.Now()), nil
	}); err != nil {
		return err
	}
	var claimed []string
	for _, hash := range hashes {
		made, err := c.claim(ctx, by, hash, account)
		if made {
			claimed = append(claimed, hash.Hash)
		}
		if err == nil {
			continue
		}
		for _, hash := range claimed {
			if err := c.releaseAddress(ctx, by, hash, account); err != nil {
				c.log.WarnContext(ctx, "address stays claimed until another account asks for it", "account", account, "error", err)
			}
		}
		return err
	}
	return nil
}

// claim claims an address under one hash, and returns whether it was free before. From an account that can no longer use it, because its registration was corrected or
// its link has expired while a command was cut off behind its claim, it is taken away.
func (c *Commands) claim(ctx context.Context, by commands.Origin, hash domain.AddressHash, account uuid.UUID) (made bool, err error) {
	stream := domain.MailAddressStream(hash.Hash)
	claim := func() (bool, error) {
		done, err := commands.Execute(ctx, c.Executor, by, stream, func(m domain.MailAddress) ([]domain.Event, error) {
			return m.Claim(account, hash.SecretID, c.Now())
		})
		return done.Position > 0, err
	}
	made, taken := claim()
	if !errors.Is(taken, domain.ErrMailAddressTaken) {
		return made, taken
	}
	address, err := commands.Read[domain.MailAddress](ctx, c.Store, stream)
	if err != nil {
		return false, err
	}
	holder, err := c.Account(ctx, address.Owner)
	if err != nil {
		return false, err
	}
	if holder.MayHold(hash.Hash, c.Now()) {
		return false, taken
	}
	if err := c.releaseAddress(ctx, by, hash.Hash, address.Owner); err != nil {
		return false, err
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
