package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// StoreCmd looks after the event store: the files of the embedded one, whether it is being served or not, and what a cluster
// needs once.
type StoreCmd struct {
	Backup  StoreBackupCmd  `cmd:"" help:"Copy the event store into a new directory, also while it is served."`
	Verify  StoreVerifyCmd  `cmd:"" help:"Examine every event and index of the event store."`
	Stats   StoreStatsCmd   `cmd:"" help:"Print how much is in the event store."`
	Prepare StorePrepareCmd `cmd:"" help:"Create the persistent subscriptions on an event store with users and print the least rights."`
	Copy    StoreCopyCmd    `cmd:"" help:"Move the log to another event store: from the embedded node to a cluster, or back."`
}

func (f *storeFlags) inspect(ctx context.Context, app *App, do func(*store.Inspector) error) error {
	inspector, err := store.Inspect(ctx, eventsDir(f.Data))
	if err != nil {
		return err
	}
	return errors.Join(do(inspector), inspector.Close())
}

// StoreBackupCmd copies the store.
type StoreBackupCmd struct {
	storeFlags

	Dest string `arg:"" help:"Directory of the copy; it must not exist or be empty. It is restored by serving it." type:"path"`
}

// Help shows how the command is used.
func (*StoreBackupCmd) Help() string {
	return `Example:
  liveness store backup --data ./data /backup/events-2026-01-31`
}

// Run copies the store and verifies the copy.
func (c *StoreBackupCmd) Run(ctx context.Context, app *App) error {
	return c.inspect(ctx, app, func(inspector *store.Inspector) error {
		begin := time.Now()
		if err := inspector.Backup(ctx, c.Dest); err != nil {
			return err
		}
		copied, err := store.Inspect(ctx, c.Dest)
		if err != nil {
			return err
		}
		stats, err := copied.Stats(ctx)
		if err = errors.Join(err, copied.Close()); err != nil {
			return err
		}
		if c.JSON {
			return app.PrintJSON(stats)
		}
		fmt.Fprintf(app.Out, "backed up and verified %d events, %s, in %s: %s\n", stats.Events, bytesText(stats.DatabaseBytes), time.Since(begin).Round(time.Millisecond), c.Dest)
		return nil
	})
}

// StoreVerifyCmd examines the store.
type StoreVerifyCmd struct {
	storeFlags
}

// Help returns what the exit status means.
func (*StoreVerifyCmd) Help() string {
	return `Exits with 0 when the store is whole and with 3 when it is damaged; then the first finding is printed.

Example:
  liveness store verify --data ./data`
}

// Run examines the store.
func (c *StoreVerifyCmd) Run(ctx context.Context, app *App) error {
	result := struct {
		Whole   bool   `json:"whole"`
		Events  int64  `json:"events"`
		Finding string `json:"finding,omitempty"`
	}{}
	err := c.inspect(ctx, app, func(inspector *store.Inspector) (err error) {
		result.Events, err = inspector.Verify(ctx)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return err
	}
	result.Whole = err == nil
	if err != nil {
		result.Finding = err.Error()
		err = &ExitError{Code: exitDamaged, Err: err}
	}
	if c.JSON {
		return errors.Join(app.PrintJSON(result), err)
	}
	if result.Whole {
		fmt.Fprintf(app.Out, "whole: %d events\n", result.Events)
	}
	return err
}

// StoreStatsCmd counts what is in the store.
type StoreStatsCmd struct {
	storeFlags
}

// Help shows how the command is used.
func (*StoreStatsCmd) Help() string {
	return `Example:
  liveness store stats --data ./data --json`
}

// Run prints the numbers.
func (c *StoreStatsCmd) Run(ctx context.Context, app *App) error {
	return c.inspect(ctx, app, func(inspector *store.Inspector) error {
		stats, err := inspector.Stats(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return app.PrintJSON(stats)
		}
		table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "instance\t%s\n", stats.Instance)
		fmt.Fprintf(table, "events\t%d\n", stats.Events)
		fmt.Fprintf(table, "head position\t%d\n", stats.Head)
		fmt.Fprintf(table, "streams\t%d\n", stats.Streams)
		fmt.Fprintf(table, "tombstones\t%d\n", stats.Tombstones)
		fmt.Fprintf(table, "node records\t%d\n", stats.Records)
		fmt.Fprintf(table, "database\t%s\n", bytesText(stats.DatabaseBytes))
		fmt.Fprintf(table, "write-ahead log\t%s\n", bytesText(stats.LogBytes))
		if !stats.First.IsZero() {
			fmt.Fprintf(table, "first event\t%s\n", stats.First.Format(time.RFC3339))
			fmt.Fprintf(table, "last event\t%s\n", stats.Last.Format(time.RFC3339))
		}
		return table.Flush()
	})
}

func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
