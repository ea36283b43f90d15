package commands

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// KeysReadModel is the read model that every node finds keys in; commands wait for it before they show a key.
const KeysReadModel = "api_keys"

// RegenerateKey replaces one of a customer's keys.
type RegenerateKey struct {
	By             Origin
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Slot           domain.KeySlot
	Replaces       string // visible prefix of the key that is meant to go; empty for whichever the slot holds
}

// ErrKeyReplaced refuses to replace a key that is not the one the customer looked at, so that of two windows which
// regenerate the same slot the second does not kill the key that the first has just shown.
var ErrKeyReplaced = &domain.Error{Kind: domain.KindConflict, Code: "key_replaced",
	Message: "This key was replaced a moment ago, perhaps in another window. Look at the current one before you regenerate it again."}

// IssuedKey is a key in the clear, to be shown once. It prints as its prefix only, so that it cannot slip into a log.
type IssuedKey struct {
	Slot     domain.KeySlot
	secret   string
	Prefix   string
	Position uint64
}

// Reveal gives the key itself.
func (k IssuedKey) Reveal() string { return k.secret }

// String gives the part that may be seen.
func (k IssuedKey) String() string { return k.Prefix + "…" }

// RegenerateKey runs the command. It returns once every node refuses the old key. When that cannot be made sure in
// time the new key is not given out, so nobody relies on a rotation that is not complete; the command is repeated then.
func (a *Application) RegenerateKey(ctx context.Context, cmd RegenerateKey) (IssuedKey, error) {
	key, digest, err := newKey(a.secret)
	if err != nil {
		return IssuedKey{}, err
	}
	done, err := Execute(ctx, a.Executor, cmd.By, domain.APIKeysStream(cmd.CustomerID), func(k domain.APIKeys) ([]domain.Event, error) {
		if cmd.Replaces != "" && cmd.Replaces != k.Keys[cmd.Slot].Prefix {
			return nil, ErrKeyReplaced
		}
		return k.Regenerate(cmd.CustomerID, cmd.SubscriptionID, cmd.Slot, digest, a.Now()), nil
	})
	if err != nil {
		return IssuedKey{}, err
	}
	if err = a.barrier.WaitFor(ctx, KeysReadModel, done.Position); err == nil {
		err = WaitOutStaleness(ctx)
	}
	if err != nil {
		return IssuedKey{}, domain.ErrUnavailable.Saying("The key could not be replaced on every node in time. Press Regenerate again.").
			Because(fmt.Errorf("wait for %s: %w", KeysReadModel, err))
	}
	return IssuedKey{Slot: cmd.Slot, secret: key, Prefix: digest.Prefix, Position: done.Position}, nil
}

// issueKeys gives a customer the first two keys, or none when they were issued before.
func (a *Application) issueKeys(ctx context.Context, by Origin, customer, subscription uuid.UUID) ([]IssuedKey, error) {
	primary, primaryDigest, err := newKey(a.secret)
	if err != nil {
		return nil, err
	}
	secondary, secondaryDigest, err := newKey(a.secret)
	if err != nil {
		return nil, err
	}
	done, err := Execute(ctx, a.Executor, by, domain.APIKeysStream(customer), func(k domain.APIKeys) ([]domain.Event, error) {
		return k.Issue(customer, subscription, primaryDigest, secondaryDigest, a.Now()), nil
	})
	if err != nil || done.Position == 0 {
		return nil, err
	}
	return []IssuedKey{
		{Slot: domain.SlotPrimary, secret: primary, Prefix: primaryDigest.Prefix, Position: done.Position},
		{Slot: domain.SlotSecondary, secret: secondary, Prefix: secondaryDigest.Prefix, Position: done.Position},
	}, nil
}
