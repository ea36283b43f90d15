package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// HoldCmd keeps personal data from being erased.
type HoldCmd struct {
	Place   HoldPlaceCmd   `cmd:"" help:"Put a customer or a person under a legal hold."`
	Release HoldReleaseCmd `cmd:"" help:"Release a legal hold."`
	Show    HoldShowCmd    `cmd:"" help:"Show the holds that stand on a customer or a person, and the erasures that wait."`
}

// holdFlags say on whom a hold stands.
type holdFlags struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	Whom           string `arg:"" help:"A customer by its id, or a person by the address that they log in with or their account's id." placeholder:"ID"`
}

// open returns the commands and the account that is meant.
func (f *holdFlags) open(ctx context.Context, app *App) (c *accounts.Commands, account uuid.UUID, stop func(), err error) {
	desk, err := openOperatorDesk(ctx, app, f.ReadModelFlags, f.SecretFlags)
	if err != nil {
		return nil, uuid.Nil, nil, err
	}
	c, err = desk.people(app, desk.vault)
	if err == nil {
		account, err = f.account(ctx, c)
	}
	if err != nil {
		desk.close()
		return nil, uuid.Nil, nil, err
	}
	return c, account, desk.close, nil
}

func (f *holdFlags) account(ctx context.Context, c *accounts.Commands) (uuid.UUID, error) {
	if id, err := uuid.Parse(f.Whom); err == nil {
		return id, nil
	}
	if !strings.Contains(f.Whom, "@") {
		return uuid.Nil, fmt.Errorf("%q is neither an id, which is a UUID, nor a mail address", f.Whom)
	}
	login, err := c.AccountOfMail(ctx, f.Whom)
	if err == nil && !login.Registered() {
		err = errors.New("nobody logs in with this address")
	}
	return login.CustomerID, err
}

// HoldPlaceCmd puts somebody under a hold.
type HoldPlaceCmd struct {
	holdFlags `embed:""`
	Why       string `help:"Why, for instance the number of the case. It is kept encrypted, and erased with the personal data." required:""`
}

// Help is shown below the options.
func (*HoldPlaceCmd) Help() string {
	return `While a hold stands, "liveness erase" erases neither the customer nor any of its people, and notes that the erasure waits. A hold on a
person keeps the person, and the customers that they act for from being erased with them. Several holds may stand for several reasons.
What ends by itself goes on ending: sessions, notes of logins after 90 days, links in mails. "liveness events --type
LegalHoldPlaced,LegalHoldReleased" lists all holds.

Examples:
  liveness hold place f38c0a2e-eb83-5996-a1e7-8e1229647684 --why "case 12 O 345/26"
  liveness hold place ada@example.com --why "case 12 O 345/26"`
}

// Run places the hold.
func (c *HoldPlaceCmd) Run(ctx context.Context, app *App) error {
	log, account, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	hold, err := log.PlaceHold(ctx, accounts.PlaceHold{By: commands.NewOrigin(domain.ActorOperator), AccountID: account, Why: c.Why})
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(map[string]any{"accountId": account, "holdId": hold})
	}
	_, err = fmt.Fprintf(app.Out, "%s is under the legal hold %s.\nIt ends with: liveness hold release %s %s --why …\n", account, hold, account, hold)
	return err
}

// HoldReleaseCmd ends a hold.
type HoldReleaseCmd struct {
	holdFlags `embed:""`
	Hold      string `arg:"" help:"The hold's id, as place and show print it." placeholder:"HOLD"`
	Why       string `help:"Why it ends; kept as the reason of the hold is." required:""`
}

// Help is shown below the options.
func (*HoldReleaseCmd) Help() string {
	return `Ends one hold. When it was the last one, the erasures that have waited are listed: repeat them with "liveness erase".

Example:
  liveness hold release f38c0a2e-eb83-5996-a1e7-8e1229647684 0b9c6c1e-2f7d-5f0e-8c57-3a2f9f1f6a10 --why "settled on 3 December"`
}

// Run releases the hold.
func (c *HoldReleaseCmd) Run(ctx context.Context, app *App) error {
	hold, err := uuid.Parse(c.Hold)
	if err != nil {
		return fmt.Errorf("%q is not a hold's id: `liveness hold show` prints them", c.Hold)
	}
	log, account, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	left, err := log.ReleaseHold(ctx, accounts.ReleaseHold{By: commands.NewOrigin(domain.ActorOperator), AccountID: account, HoldID: hold, Why: c.Why})
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(shownHolds(account, nil, left.Waiting))
	}
	if left.Any() {
		_, err = fmt.Fprintf(app.Out, "Released. Of %s, %d more stand.\n", account, len(left.Standing))
		return err
	}
	fmt.Fprintf(app.Out, "Released. %s is under no legal hold any more.\n", account)
	return printWaiting(app, left.Waiting)
}

// HoldShowCmd shows what stands.
type HoldShowCmd struct {
	holdFlags `embed:""`
}

// Help is shown below the options.
func (*HoldShowCmd) Help() string {
	return `Example:
  liveness hold show f38c0a2e-eb83-5996-a1e7-8e1229647684`
}

// holdRow and waitingRow are lines of what --json prints.
type (
	holdRow struct {
		ID    uuid.UUID `json:"holdId"`
		Since time.Time `json:"since"`
		Why   string    `json:"why"`
	}
	waitingRow struct {
		Subject uuid.UUID `json:"subjectId"`
		Since   time.Time `json:"since"`
	}
	holdReport struct {
		Account uuid.UUID    `json:"accountId"`
		Holds   []holdRow    `json:"holds"`
		Waiting []waitingRow `json:"erasuresWaiting"`
	}
)

func shownHolds(account uuid.UUID, holds []accounts.LegalHold, waiting []domain.ErasureDelayed) holdReport {
	report := holdReport{Account: account, Holds: []holdRow{}, Waiting: []waitingRow{}}
	for _, h := range holds {
		report.Holds = append(report.Holds, holdRow{ID: h.ID, Since: h.Since, Why: h.Why})
	}
	for _, w := range waiting {
		report.Waiting = append(report.Waiting, waitingRow{Subject: w.SubjectID, Since: w.RequestedAt})
	}
	return report
}

// Run prints the holds.
func (c *HoldShowCmd) Run(ctx context.Context, app *App) error {
	log, account, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	holds, waiting, err := log.LegalHolds(ctx, account)
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(shownHolds(account, holds, waiting))
	}
	if len(holds) == 0 {
		fmt.Fprintf(app.Out, "%s is under no legal hold.\n", account)
	}
	for _, h := range holds {
		fmt.Fprintf(app.Out, "%s  since %s  %s\n", h.ID, minute(h.Since), h.Why)
	}
	return printWaiting(app, waiting)
}

// printWaiting lists erasures that were asked for while a hold stood.
func printWaiting(app *App, waiting []domain.ErasureDelayed) error {
	for _, w := range waiting {
		if _, err := fmt.Fprintf(app.Out, "The erasure of %s, asked for on %s, waits: repeat it with liveness erase.\n", w.SubjectID, minute(w.RequestedAt)); err != nil {
			return err
		}
	}
	return nil
}
