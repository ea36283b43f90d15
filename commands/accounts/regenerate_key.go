package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RegenerateKey replaces one of a customer's keys.
type RegenerateKey struct {
	By             commands.Origin
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Slot           domain.KeySlot
	Replaces       string // visible prefix of the key that is meant to go; empty for whichever the slot holds
}

// RegenerateKey runs the command. It returns once every node refuses the old key. When that cannot be made sure in
// time the new key is not given out, so nobody relies on a rotation that is not complete; the key that is current then is regenerated.
func (c *Commands) RegenerateKey(ctx context.Context, cmd RegenerateKey) (IssuedKey, error) {
	if err := c.Authorize(ctx, cmd.By, cmd.CustomerID); err != nil {
		return IssuedKey{}, err
	}
	key, digest, err := newKey(commands.InUse(c.ring, commands.PurposeAPIKeys))
	if err != nil {
		return IssuedKey{}, err
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.APIKeysStream(cmd.CustomerID), func(k domain.APIKeys) ([]domain.Event, error) {
		return k.Regenerate(cmd.CustomerID, cmd.SubscriptionID, cmd.Slot, cmd.Replaces, digest, c.Now())
	})
	if err != nil {
		return IssuedKey{}, err
	}
	if err = c.barrier.WaitFor(ctx, KeysReadModel, done.Position); err == nil {
		err = commands.WaitOutStaleness(ctx)
	}
	if err != nil {
		return IssuedKey{}, domain.ErrUnavailable.Saying("Not every node has confirmed in time that it refuses the old key. " +
			"Look at the current key: if it has changed, regenerate it again, since nobody has seen the new one.").
			Because(fmt.Errorf("wait for %s: %w", KeysReadModel, err))
	}
	return IssuedKey{Slot: cmd.Slot, secret: key, Prefix: digest.Prefix, Position: done.Position}, nil
}
