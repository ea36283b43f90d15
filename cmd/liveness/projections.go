package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// ProjectionsCmd looks after the read models.
type ProjectionsCmd struct {
	List    ProjectionsListCmd    `cmd:"" help:"Print how every read model stands."`
	Rebuild ProjectionsRebuildCmd `cmd:"" help:"Make a read model anew from the log, beside the running one, and swap them."`
	Compare ProjectionsCompareCmd `cmd:"" help:"Make a read model anew from the log and compare the running one with it."`
	Skip    ProjectionsSkipCmd    `cmd:"" help:"Let a stopped read model go past the event that it cannot apply."`
}

// open returns an engine that maintains nothing by itself.
func (f ReadModelFlags) open(ctx context.Context, app *App) (models *engine.Engine, stop func(), err error) {
	models, _, stop, err = f.openWithLog(ctx, app)
	return models, stop, err
}

// openWithLog returns also the log that the engine follows.
func (f ReadModelFlags) openWithLog(ctx context.Context, app *App) (models *engine.Engine, client *eventstoredb.Client, stop func(), err error) {
	pool, client, stop, err := f.connectBoth(ctx, app)
	if err != nil {
		return nil, nil, nil, err
	}
	if err = postgres.Migrate(ctx, pool); err == nil {
		models, err = engine.New(engine.Config{
			Pool: pool, Source: eventstoredb.NewSource(client, domain.NewRegistry(), app.Log), Projections: projections.All(), Log: app.Log,
		})
	}
	if err != nil {
		stop()
		return nil, nil, nil, err
	}
	return models, client, stop, nil
}

func (f ReadModelFlags) database() (string, error) {
	if f.Postgres != "" {
		return f.Postgres, nil
	}
	address, err := localpostgres.Running(filepath.Join(f.Data, "postgres"), devDatabase)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no PostgreSQL runs on %s. Start `liveness dev` first, or give --postgres or --data", f.Data)
	}
	return address, err
}

// devDatabase is the name of the database that dev keeps its read models in.
const devDatabase = "liveness"

// ProjectionsListCmd prints how the read models stand.
type ProjectionsListCmd struct {
	ReadModelFlags `embed:""`
}

// Help is shown below the options.
func (*ProjectionsListCmd) Help() string {
	return `States: live, catching up, behind (was live and lacks the end of the log), stalled (a node holds it and nothing moves),
failing (is tried again and again), stopped (at an event that cannot be applied), idle (no node maintains it), building (beside
the running one), abandoned (building was interrupted). BEHIND is the age of the oldest event that is not shown, PASSED how long ago
it applied events or was found at the end of the log. Both are measured against the log, whatever the holder says.

Examples:
  liveness projections list
  liveness projections list --json | jq '.[] | select(.state != "live")'`
}

// Run prints the table.
func (c *ProjectionsListCmd) Run(ctx context.Context, app *App) error {
	models, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	statuses, err := models.Statuses(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(statuses)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVERSION\tSTATE\tPOSITION\tLAG\tBEHIND\tPASSED\tPARKED\tSKIPPED\tHOLDER")
	for _, s := range statuses {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%s\t%s\t%d\t%d\t%s\n", s.Name, s.Version, s.State, s.Position, s.Lag,
			time.Duration(s.LagFor).Round(time.Millisecond), time.Duration(s.PassedAgo).Round(100*time.Millisecond), s.Parked, s.Skipped,
			cmp.Or(s.Holder, "-"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, s := range statuses {
		if err := c.explain(ctx, app, models, s); err != nil {
			return err
		}
	}
	return nil
}

// mostParked is how many parked events of a read model are printed.
const mostParked = 20

// explain prints why a read model does not go on and what it went past.
func (c *ProjectionsListCmd) explain(ctx context.Context, app *App, models *engine.Engine, s engine.Status) error {
	if s.Error != "" {
		fmt.Fprintf(app.Out, "\n%s\n", oneLine("%s: %s", s.Name, s.Error))
	}
	if s.StoppedAt != nil {
		fmt.Fprintf(app.Out, "  It goes on by itself, or when you rebuild again, once a program runs that can apply the event. "+
			"Or go past it for good: liveness projections skip %s %d --why \"…\"\n", s.ReadModel(), s.StoppedAt.Position)
	}
	if s.Skipped > 0 {
		skipped, err := models.Skipped(ctx, s.Name, mostParked)
		if err != nil {
			return err
		}
		fmt.Fprintf(app.Out, "\n%s skips events because an operator said so; a rebuild skips them too:\n", s.Name)
		for _, p := range skipped {
			fmt.Fprintln(app.Out, oneLine("  position %d, %s, revision %d of %s: %s (%s)", p.Position, p.Type, p.Revision, p.Stream, p.Why, p.SkippedBy))
		}
	}
	if s.Parked == 0 {
		return nil
	}
	parked, err := models.Parked(ctx, s.Name, mostParked)
	if err != nil {
		return err
	}
	fmt.Fprintf(app.Out, "\n%s went past events that it could not take; a rebuild by a program that can tries them again:\n", s.Name)
	for _, p := range parked {
		fmt.Fprintln(app.Out, oneLine("  position %d, %s, revision %d of %s: %s", p.Position, p.Type, p.Revision, p.Stream, p.Error))
	}
	return nil
}

// ProjectionsRebuildCmd makes a read model anew.
type ProjectionsRebuildCmd struct {
	ReadModelFlags `embed:""`
	Name           string `arg:"" optional:"" help:"The read model; all of them, one after the other, when none is named."`
}

// Help is shown below the options.
func (*ProjectionsRebuildCmd) Help() string {
	return `The running read model serves and is maintained until the new one has caught up and takes its place. Before that the
two are compared at the same event of the log and the differences printed; the swap puts them right.

Example:
  liveness projections rebuild usage`
}

// Run rebuilds.
func (c *ProjectionsRebuildCmd) Run(ctx context.Context, app *App) error {
	models, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	names := []string{c.Name}
	if c.Name == "" {
		names = names[:0]
		for _, p := range projections.All() {
			names = append(names, p.Name)
		}
	}
	for _, name := range names {
		if err := c.rebuild(ctx, app, models, name); err != nil {
			return fmt.Errorf("rebuild %s: %w", name, err)
		}
	}
	return nil
}

// rebuild makes one read model anew and says what was different. As JSON each has a line.
func (c *ProjectionsRebuildCmd) rebuild(ctx context.Context, app *App, models *engine.Engine, name string) error {
	comparison, err := models.Rebuild(ctx, name, printProgress(app, name))
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(comparison)
	}
	if err := printComparison(app, comparison); err != nil {
		return err
	}
	fmt.Fprintf(app.Out, "%s is rebuilt and swapped in\n", name)
	return nil
}

// ProjectionsCompareCmd compares a read model with the log.
type ProjectionsCompareCmd struct {
	ReadModelFlags `embed:""`
	Name           string `arg:"" help:"The read model."`
}

// Help is shown below the options.
func (*ProjectionsCompareCmd) Help() string {
	return `Exits with 0 when both hold the same rows, and with 3 when they differ or the running one has not come to where the log ended
when comparing began.

Example:
  liveness projections compare usage --json`
}

// Run compares.
func (c *ProjectionsCompareCmd) Run(ctx context.Context, app *App) error {
	models, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	comparison, err := models.Compare(ctx, c.Name, printProgress(app, c.Name))
	if err != nil {
		return err
	}
	var different error
	if comparison.Behind() {
		different = &ExitError{Code: exitDifferent, Err: fmt.Errorf("%s has come to position %d of %d only and does not go on; what lies behind it is not compared. See `liveness projections list`",
			c.Name, comparison.Position, comparison.Head)}
	}
	if !comparison.Equal() {
		different = &ExitError{Code: exitDifferent, Err: fmt.Errorf("%s does not show what the log says. Run `liveness projections rebuild %s`", c.Name, c.Name)}
	}
	if c.JSON {
		return errors.Join(app.PrintJSON(comparison), different)
	}
	return errors.Join(printComparison(app, comparison), different)
}

func printComparison(app *App, c engine.Comparison) error {
	if len(c.Tables) == 0 {
		return nil // the versions differ, so there was nothing to compare
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TABLE\tROWS RUNNING\tROWS REBUILT\tCONTENT")
	for _, t := range c.Tables {
		verdict := "equal"
		if !t.Equal() {
			verdict = "DIFFERENT"
		}
		fmt.Fprintf(table, "%s.%s\t%d\t%d\t%s\n", c.Name, t.Table, t.Running.Rows, t.Rebuilt.Rows, verdict)
	}
	return table.Flush()
}

// printProgress tells once a second how far building has come.
func printProgress(app *App, name string) func(engine.Progress) {
	begun := time.Now()
	last := begun
	return func(p engine.Progress) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(app.Err, "%s: position %d of %d after %s\n", name, p.Position, p.Head, time.Since(begun).Round(time.Second))
	}
}
