package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// operatorDesk is what an operator's command on accounts works on: secrets, database and log that belong together.
type operatorDesk struct {
	ring   *keyring.Ring
	pool   *pgxpool.Pool
	client *eventstoredb.Client
	vault  *postgres.Vault
	close  func()
}

func openOperatorDesk(ctx context.Context, app *App, models ReadModelFlags, secrets SecretFlags) (*operatorDesk, error) {
	if models.Postgres == "" {
		secrets.SecretFile = secrets.file(models.Data) // dev's
	}
	ring, err := secrets.secrets(app.Log)
	if err != nil {
		return nil, err
	}
	pool, client, stop, err := models.connectBoth(ctx, app)
	if err != nil {
		return nil, err
	}
	desk := &operatorDesk{ring: ring, pool: pool, client: client, close: stop}
	if err = belongTogether(ctx, pool, client, ring, app.Log); err == nil {
		desk.vault, err = postgres.NewVault(pool, ring)
	}
	if err != nil {
		stop()
		return nil, err
	}
	return desk, nil
}

// caughtUp waits until a read model knows the whole log: what it has not seen must not be taken for what there is not. The
// error is engine.ErrBehind only when the read model is late: some commands go on with what it knows.
func caughtUp(ctx context.Context, pool *pgxpool.Pool, client *eventstoredb.Client, readModel string) error {
	head, err := client.Head(ctx)
	if err == nil {
		err = engine.NewBarrier(pool, barrierTimeout).WaitFor(ctx, readModel, head)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, engine.ErrBehind):
		return fmt.Errorf("the read model %s is behind the log; is \"liveness work\" running? %w", readModel, err)
	}
	return err
}

// people returns the commands on accounts, whose keys are in vault.
func (d *operatorDesk) people(app *App, vault accounts.Vault) (*accounts.Commands, error) {
	return operatorAccounts(app, d.pool, d.client, d.ring, vault)
}

func operatorAccounts(app *App, pool *pgxpool.Pool, client *eventstoredb.Client, ring commands.Keyring, vault accounts.Vault) (*accounts.Commands, error) {
	return accounts.New(accounts.Config{
		Executor: commands.Executor{Store: eventstoredb.NewStore(client, domain.NewRegistry()), Now: time.Now},
		Vault:    vault, Barrier: engine.NewBarrier(pool, barrierTimeout), Keyring: ring, Log: app.Log,
	})
}
