package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RenameKey gives one of a customer's keys a name, or takes it away.
type RenameKey struct {
	By             commands.Origin
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Slot           domain.KeySlot
	Name           string // empty for none
}

// RenameKey runs the command. A name that the key has already is not recorded again.
func (c *Commands) RenameKey(ctx context.Context, cmd RenameKey) (commands.Result[domain.APIKeys], error) {
	var none commands.Result[domain.APIKeys]
	if err := c.Authorize(ctx, cmd.By, cmd.CustomerID); err != nil {
		return none, err
	}
	name, err := domain.ParseKeyName(cmd.Name)
	if err != nil {
		return none, err
	}
	stream := domain.APIKeysStream(cmd.CustomerID)
	keys, err := commands.Read[domain.APIKeys](ctx, c.Store, stream)
	if err != nil {
		return none, err
	}
	var sealed domain.KeyName
	if name != "" {
		if sealed, err = c.sealKeyName(ctx, cmd.CustomerID, keys.Names[cmd.Slot], name); err != nil {
			return none, err
		}
	}
	return commands.Execute(ctx, c.Executor, cmd.By, stream, func(k domain.APIKeys) ([]domain.Event, error) {
		if k.Names[cmd.Slot] == sealed {
			return nil, nil
		}
		return k.Rename(cmd.CustomerID, cmd.SubscriptionID, cmd.Slot, sealed, c.Now()), nil
	})
}

// sealKeyName encrypts a name, or returns the current one when it says the same. One that was sealed under a key that is
// destroyed says nothing any more.
func (c *Commands) sealKeyName(ctx context.Context, customer uuid.UUID, current domain.KeyName, name string) (domain.KeyName, error) {
	registration, err := c.Account(ctx, customer)
	if err != nil {
		return domain.KeyName{}, err
	}
	if current.Sealed != "" {
		known, err := c.vault.Decrypt(ctx, current.KeyID, current.Sealed)
		if err != nil && !errors.Is(err, ErrErased) {
			return domain.KeyName{}, commands.Unavailable(fmt.Errorf("read the name of a key: %w", err))
		}
		if err == nil && string(known) == name {
			return current, nil
		}
	}
	sealed := domain.KeyName{KeyID: registration.SealingKey(customer)}
	if sealed.Sealed, err = c.vault.Encrypt(ctx, sealed.KeyID, []byte(name)); err != nil {
		return domain.KeyName{}, commands.Unavailable(fmt.Errorf("encrypt the name of a key: %w", err))
	}
	return sealed, nil
}
