package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// LoginCmd looks after the logins of people.
type LoginCmd struct {
	RemoveSecondFactor LoginRemoveSecondFactorCmd `cmd:"" help:"Switch two-step login off for somebody who has lost app and recovery codes."`
}

// LoginRemoveSecondFactorCmd takes the second factor from a login.
type LoginRemoveSecondFactorCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	Person         string `arg:"" help:"Who, by the address that they log in with, or their account's id." placeholder:"MAIL"`
	Yes            bool   `help:"Do it: you have made sure, by other means than mail, that it is the person who asks."`
}

// Help is shown below the options.
func (*LoginRemoveSecondFactorCmd) Help() string {
	return `The password is enough for the next login, which may then set two-step login up anew. Open sessions end, and the person is told by mail. Whoever
can read somebody's mail can reset the password and is kept out by the second factor alone: make sure who asks, for instance by calling
the number that the contract names.

Examples:
  liveness login remove-second-factor ada@example.com --yes`
}

// Run removes it.
func (c *LoginRemoveSecondFactorCmd) Run(ctx context.Context, app *App) error {
	if !c.Yes {
		return errors.New("with the second factor goes what keeps a stolen password out: make sure who asks, and repeat the command with --yes")
	}
	desk, err := openOperatorDesk(ctx, app, c.ReadModelFlags, c.SecretFlags)
	if err != nil {
		return err
	}
	defer desk.close()
	people, err := desk.people(app, desk.vault)
	if err != nil {
		return err
	}
	login, err := findLogin(ctx, people, c.Person)
	if err != nil {
		return err
	}
	switch {
	case !login.Active:
		return errors.New("nobody logs in with this address")
	case !login.SecondFactor.On():
		return domain.ErrSecondFactorOff
	}
	// Sessions first, so that the command, when it is interrupted, can be repeated: none begins before the factor is gone.
	if err := console.NewPostgresLogins(desk.pool, console.LoginLimits{}).EndAll(ctx, login.CustomerID, uuid.Nil); err != nil {
		return fmt.Errorf("two-step login is still on: open sessions could not be ended; repeat the command: %w", err)
	}
	if err := people.RemoveSecondFactor(ctx, accounts.RemoveSecondFactor{
		By: commands.NewOrigin(domain.ActorOperator), AccountID: login.CustomerID,
	}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(app.Out, "Two-step login is off: the password is enough for the next login. The person is told by mail.")
	return err
}

// findLogin finds an account by its address or its id.
func findLogin(ctx context.Context, people *accounts.Commands, person string) (domain.Account, error) {
	if id, err := uuid.Parse(person); err == nil {
		return people.Account(ctx, id)
	}
	return people.AccountOfMail(ctx, person)
}
