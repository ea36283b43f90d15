package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// EraseCmd erases a customer's personal data on request.
type EraseCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	Customer       string `arg:"" help:"The customer's id, as the console's account screen and every API answer show it." placeholder:"UUID"`
	Yes            bool   `help:"Do it. Nothing brings the data back."`
}

// Help is shown below the options.
func (c *EraseCmd) Help() string {
	return `Destroys the key of the customer's personal data: names, mail address, company, website and password become unreadable in every event,
the account is closed and its sessions end. Counted calls and what was reported to AWS stay provable. API keys go on working until
the subscription ends on AWS Marketplace. Repeat the command if it is interrupted.

Examples:
  liveness erase f38c0a2e-eb83-5996-a1e7-8e1229647684 --yes`
}

// Run erases.
func (c *EraseCmd) Run(ctx context.Context, app *App) error {
	customer, err := uuid.Parse(c.Customer)
	if err != nil {
		return fmt.Errorf("%q is not a customer's id: it is a UUID, shown on the console's account screen", c.Customer)
	}
	if !c.Yes {
		return errors.New("the erasure cannot be undone: repeat the command with --yes")
	}
	if c.SecretFile == "" && c.Postgres == "" {
		c.SecretFile = filepath.Join(c.Data, "secret") // dev's
	}
	secret, err := c.secret()
	if err != nil {
		return err
	}
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	vault, err := postgres.NewVault(pool, secret)
	if err != nil {
		return err
	}
	erasing, err := accounts.New(accounts.Config{
		Executor: commands.Executor{Store: eventstoredb.NewStore(client, domain.NewRegistry()), Now: time.Now},
		Vault:    vault, Barrier: engine.NewBarrier(pool, barrierTimeout), Secret: secret, Log: app.Log,
	})
	if err != nil {
		return err
	}
	if err := erasing.ErasePersonalData(ctx, accounts.ErasePersonalData{
		By: commands.NewOrigin(domain.ActorOperator), CustomerID: customer,
	}); err != nil {
		return err
	}
	if _, err := console.NewPostgresSessionGenerations(pool).Raise(ctx, customer); err != nil {
		return fmt.Errorf("the data is erased, but open sessions could not be ended; repeat the command: %w", err)
	}
	_, err = fmt.Fprintf(app.Out, "The personal data of customer %s is erased.\n", customer)
	return err
}
