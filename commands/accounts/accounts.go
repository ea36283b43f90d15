package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Config is what the commands are built from. All of it is required but PasswordCost.
type Config struct {
	commands.Executor
	Vault        Vault
	Barrier      commands.Barrier
	Keyring      commands.Keyring
	Log          *slog.Logger
	PasswordCost argon2id.Params // of a hash; as OWASP advises. Tests hash hundreds of passwords and take less
}

// Commands are the commands of accounts: a method each, in a file of its name.
type Commands struct {
	commands.Executor
	vault        Vault
	barrier      commands.Barrier
	ring         commands.Keyring
	log          *slog.Logger
	passwordCost argon2id.Params
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
	return &Commands{
		Executor: c.Executor, vault: c.Vault, barrier: c.Barrier, ring: c.Keyring, log: c.Log, passwordCost: cmp.Or(c.PasswordCost, advisedCost),
	}, nil
}

// Account reads an account from its stream.
func (c *Commands) Account(ctx context.Context, customer uuid.UUID) (domain.Account, error) {
	account, _, err := commands.Load[domain.Account](ctx, c.Store, domain.AccountStream(customer))
	return account, commands.Unavailable(err)
}
