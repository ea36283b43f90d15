package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/readmodels"
	"github.com/pas-ta/liveness/domain"
)

// ProjectionsSkipCmd lets a read model go past an event.
type ProjectionsSkipCmd struct {
	ReadModelFlags `embed:""`
	Name           string `arg:"" help:"The read model."`
	Position       uint64 `arg:"" help:"The position that it is stopped at, as projections list shows it."`
	Why            string `help:"Why the event may be gone past, and what was done about its effect; kept in the log." required:""`
}

// Help is shown below the options.
func (*ProjectionsSkipCmd) Help() string {
	return `For an event of ours that no program will ever apply. Nothing else can be skipped: the read model must be stopped at that
position. The decision is recorded in the log as ProjectionSkipped and holds for every later rebuild; "projections list" and "audit"
show it. What the event says is then missing in the read model: for usage a call that is not shown, for metering one that is not
reported, for api_keys a key that does not work or still does. Calls behind it are shown and reported as ever.

Example:
  liveness projections skip usage 48151623 --why "written by a test into the wrong log; ticket 42"`
}

// Run records the decision.
func (c *ProjectionsSkipCmd) Run(ctx context.Context, app *App) error {
	models, client, stop, err := c.openWithLog(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := c.belongsToLog(ctx, app, client); err != nil {
		return err
	}
	skip, err := models.ToSkip(ctx, c.Name, c.Position)
	if err != nil {
		return fmt.Errorf("%w. See `liveness projections list`", err)
	}
	skip.Why = c.Why
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	_, err = readmodels.SkipEvent(ctx, commands.Executor{Store: store, Now: time.Now}, readmodels.Skip{By: commands.NewOrigin(domain.ActorOperator), Skip: skip})
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(skip)
	}
	_, err = fmt.Fprintf(app.Out, "%s will skip %s, revision %d of %s, when it tries again: within half a minute, or when you rebuild again\n",
		c.Name, skip.Type, skip.Revision, skip.Stream)
	return err
}
