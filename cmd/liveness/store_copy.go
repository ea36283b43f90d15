package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/eventstoredb/logcopy"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// StoreCopyCmd moves a log to another event store.
type StoreCopyCmd struct {
	From       string `help:"The log that is copied: the address of an event store, or the data directory of a node that does not run." required:"" placeholder:"URL|DIR"`
	To         string `help:"The log that it is copied to, likewise; a directory is created when it is missing." required:"" placeholder:"URL|DIR"`
	Postgres   string `help:"Make all read models in this database anew from the copy: postgres://user:password@host:5432/database." placeholder:"URL"`
	All        bool   `help:"Copy other programs' events too."`
	VerifyOnly bool   `help:"Only compare the two logs, event by event."`
	JSON       bool   `help:"Print JSON." name:"json"`
}

// Help returns what is needed and what the exit status means.
func (*StoreCopyCmd) Help() string {
	return `Copies the product's events in their order, with ids, revisions, data and metadata byte for byte, compares both logs event by
event, and lets the mails begin where they stand in the source. Stop every "serve", "work" and "dev" first. A copy that was cut
short goes on when the command is run again; a target with other events of the product is refused. On a cluster the user needs
to be in $admins.

What a store assigns itself changes: positions, so that read models are made anew (--postgres), and the time of recording, which
the copy notes where metered hours depend on it.

Exit status: 0 both logs hold the same, 1 the command failed, 3 they differ.

Examples:
  liveness store copy --from ./data/events --to "esdb://admin:PASSWORD@db1:2113,db2:2113,db3:2113" --postgres postgres://db/liveness
  liveness store copy --from "esdb://admin:PASSWORD@db1:2113,db2:2113,db3:2113" --to ./data/events
  liveness store copy --from ./data/events --to esdb://db1:2113 --verify-only`
}

// copyReport is what --json prints.
type copyReport struct {
	logcopy.Report
	Difference string   `json:"difference,omitempty"`
	Rebuilt    []string `json:"rebuilt"` // read models
}

// Run copies or compares.
func (c *StoreCopyCmd) Run(ctx context.Context, app *App) error {
	from, closeFrom, err := openEndOfCopy(ctx, app, "--from", c.From, false)
	if err != nil {
		return err
	}
	defer closeFrom()
	to, closeTo, err := openEndOfCopy(ctx, app, "--to", c.To, !c.VerifyOnly)
	if err != nil {
		return err
	}
	defer closeTo()

	report := copyReport{Rebuilt: []string{}}
	run := logcopy.Run
	if c.VerifyOnly {
		run = logcopy.Verify
	}
	report.Report, err = run(ctx, c.config(app, from, to))
	var differ error
	if difference := (*logcopy.DifferenceError)(nil); errors.As(err, &difference) {
		report.Difference = difference.Error()
		differ, err = &ExitError{Code: exitDifferent, Err: difference}, nil
	}
	if err != nil {
		return fmt.Errorf("copy the log: %w", err)
	}
	if differ == nil && !c.VerifyOnly && c.Postgres != "" {
		if report.Rebuilt, err = rebuildReadModels(ctx, app, to, c.Postgres); err != nil {
			return fmt.Errorf("the log is copied; make the read models anew: %w", err)
		}
	}
	if c.JSON {
		return errors.Join(app.PrintJSON(report), differ)
	}
	if differ == nil {
		c.print(app, report)
	}
	return differ
}

func (c *StoreCopyCmd) config(app *App, from, to *eventstoredb.Client) logcopy.Config {
	registry := domain.NewRegistry()
	config := logcopy.Config{
		From: from, To: to, Copies: registry.Owns, CopiesStream: registry.OwnsStream, Forgets: domain.CategoryLogins.Holds,
		Groups:   mailGroups(),
		Progress: copyProgress(app),
	}
	if c.All {
		config.Copies = func(string, string) bool { return true }
		config.CopiesStream = func(stream string) bool { return !strings.HasPrefix(stream, "$") }
	}
	return config
}

// print returns what was done, and what is left to do.
func (c *StoreCopyCmd) print(app *App, r copyReport) {
	fmt.Fprintf(app.Out, "%d events are the same in both logs, %d of them copied now; %d events of other programs are not copied\n", r.Events, r.Appended, r.Foreign)
	if r.Metadata > 0 {
		fmt.Fprintf(app.Out, "%d streams have the same metadata\n", r.Metadata)
	}
	if c.VerifyOnly {
		return
	}
	for _, g := range r.Groups {
		switch {
		case !g.InSource:
			fmt.Fprintf(app.Out, "%s: the source has no such group; it begins at the start of the log when work first runs\n", g.Name)
		case g.Waiting == 0:
			fmt.Fprintf(app.Out, "%s: everything was done in the source\n", g.Name)
		default:
			fmt.Fprintf(app.Out, "%s: goes on at position %d, with %d events, of which the source had handed out %d\n", g.Name, g.Position, g.Waiting, g.Delivered)
		}
		if g.Parked > 0 {
			fmt.Fprintf(app.Out, "%s: %d parked events stay parked in the source; replay them there first if their mails are still wanted\n", g.Name, g.Parked)
		}
	}
	for _, name := range r.Rebuilt {
		fmt.Fprintf(app.Out, "read model %s is made anew\n", name)
	}
	if len(r.Rebuilt) == 0 {
		fmt.Fprintf(app.Out, "\nBefore serve and work run on the copy, make the read models anew, where sessions, keys of personal data and sent mails stay:\n"+
			"  liveness store copy --from %q --to %q --postgres URL\n", withoutSecrets(c.From), withoutSecrets(c.To))
	}
	fmt.Fprintf(app.Out, "\nThen run serve and work with EVENTSTOREDB_URL naming the copy, and never again on the source.\n")
}

// openEndOfCopy connects to an event store, or opens the data directory of one for as long as the copy takes.
func openEndOfCopy(ctx context.Context, app *App, flag, place string, create bool) (*eventstoredb.Client, func(), error) {
	if strings.Contains(place, "://") {
		client, disconnect, err := connectLog(ctx, app, place)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", flag, err)
		}
		return client, disconnect, nil
	}
	dir := place
	if events := eventsDir(place); isDir(events) {
		dir = events // the data directory of dev
	}
	if !create && !isDir(dir) {
		return nil, nil, fmt.Errorf("%s: there is no data directory %s", flag, dir)
	}
	embedded, err := node.Start(ctx, node.Config{Addr: "127.0.0.1:0", Dir: filepath.Clean(dir), Logger: app.Log})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", flag, explainStore(err))
	}
	return connectEmbedded(ctx, app, embedded)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// rebuildReadModels makes every read model anew from a log that is not the one they were made from.
func rebuildReadModels(ctx context.Context, app *App, log *eventstoredb.Client, address string) ([]string, error) {
	pool, err := postgres.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool); err != nil {
		return nil, err
	}
	models, err := engine.New(engine.Config{
		Pool: pool, Source: eventstoredb.NewSource(log, domain.NewRegistry(), app.Log), Projections: projections.All(), Log: app.Log,
	})
	if err != nil {
		return nil, err
	}
	var rebuilt []string
	for _, p := range projections.All() {
		if err := models.RebuildFromOtherLog(ctx, p.Name, printProgress(app, p.Name)); err != nil {
			return rebuilt, err
		}
		rebuilt = append(rebuilt, p.Name)
	}
	return rebuilt, nil
}

// copyProgress tells once a second how far a copy has come.
func copyProgress(app *App) func(logcopy.Progress) {
	begun := time.Now()
	last := begun
	return func(p logcopy.Progress) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		doing := "copied"
		if p.Verifying {
			doing = "compared"
		}
		fmt.Fprintf(app.Err, "%s %d events, position %d of %d, after %s\n", doing, p.Events, p.Position, p.Head, time.Since(begun).Round(time.Second))
	}
}
