package accounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Config is what the commands are built from. All of it is required.
type Config struct {
	commands.Executor
	Vault   Vault
	Barrier commands.Barrier
	Keyring commands.Keyring
	Log     *slog.Logger
}

// Commands are the commands of accounts: a method each, in a file of its name.
type Commands struct {
	commands.Executor
	vault   Vault
	barrier commands.Barrier
	ring    commands.Keyring
	log     *slog.Logger
}

// New checks the configuration.
func New(c Config) (*Commands, error) {
	var missing []error
	for name, absent := range map[string]bool{
		"Store": c.Store == nil, "Vault": c.Vault == nil, "Barrier": c.Barrier == nil, "Now": c.Now == nil, "Log": c.Log == nil,
	} {
		if absent {
			missing = append(missing, fmt.Errorf("accounts need %s", name))
		}
	}
	if err := errors.Join(append(missing, commands.ValidateKeyring(c.Keyring))...); err != nil {
		return nil, err
	}
	return &Commands{Executor: c.Executor, vault: c.Vault, barrier: c.Barrier, ring: c.Keyring, log: c.Log}, nil
}

// Account reads an account from its stream.
func (c *Commands) Account(ctx context.Context, customer uuid.UUID) (domain.Account, error) {
	account, _, err := commands.Load[domain.Account](ctx, c.Store, domain.AccountStream(customer))
	return account, commands.Unavailable(err)
}
