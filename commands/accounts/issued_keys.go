package accounts

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// IssuedKey is a key in the clear, to be shown once. It prints as its prefix only, so that it cannot slip into a log.
type IssuedKey struct {
	Slot     domain.KeySlot
	secret   string
	Prefix   string
	Position uint64
}

// Reveal returns the key itself.
func (k IssuedKey) Reveal() string { return k.secret }

// String returns the part that may be seen.
func (k IssuedKey) String() string { return k.Prefix + "…" }

// issueKeys gives a customer the first two keys, or none when they were issued before.
func (c *Commands) issueKeys(ctx context.Context, by commands.Origin, customer, subscription uuid.UUID) ([]IssuedKey, error) {
	primary, primaryDigest, err := newKey(commands.InUse(c.ring, commands.PurposeAPIKeys))
	if err != nil {
		return nil, err
	}
	secondary, secondaryDigest, err := newKey(commands.InUse(c.ring, commands.PurposeAPIKeys))
	if err != nil {
		return nil, err
	}
	done, err := commands.Execute(ctx, c.Executor, by, domain.APIKeysStream(customer), func(k domain.APIKeys) ([]domain.Event, error) {
		return k.Issue(customer, subscription, primaryDigest, secondaryDigest, c.Now()), nil
	})
	if err != nil || done.Position == 0 {
		return nil, err
	}
	return []IssuedKey{
		{Slot: domain.SlotPrimary, secret: primary, Prefix: primaryDigest.Prefix, Position: done.Position},
		{Slot: domain.SlotSecondary, secret: secondary, Prefix: secondaryDigest.Prefix, Position: done.Position},
	}, nil
}

// newKey draws an API key and what is stored of it.
func newKey(secret commands.Secret) (key string, digest domain.KeyDigest, err error) {
	letters := make([]byte, domain.KeyLength-len(domain.KeyPrefix))
	for i := range letters {
		drawn, err := rand.Int(rand.Reader, big.NewInt(int64(len(domain.KeyAlphabet)))) // without favouring any letter
		if err != nil {
			return "", domain.KeyDigest{}, fmt.Errorf("draw an API key: %w", err)
		}
		letters[i] = domain.KeyAlphabet[drawn.Int64()]
	}
	key = domain.KeyPrefix + string(letters)
	return key, domain.NewKeyDigest(key, secret.APIKeyHash(key), secret.ID), nil
}
