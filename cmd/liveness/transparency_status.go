package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// TransparencyCmd prints what was signed of the log.
type TransparencyCmd struct {
	LogFlags `embed:""`
	Note     bool `help:"Print the newest checkpoint as it was signed, and nothing else."`
	JSON     bool `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (c *TransparencyCmd) Help() string {
	return `Reads the checkpoints that were signed of the log, and lists every key that has signed one. Keep a checkpoint where nobody who runs
this service can change it: no event before it can be changed, left out or put in without contradicting it. Get the first key by another
way than this command. It writes nothing.

Examples:
  liveness transparency
  liveness transparency --note > checkpoint-$(date +%F)`
}

// signedLog is what --json prints. It folds the stream of checkpoints.
type signedLog struct {
	Origin      string      `json:"origin"`
	Size        int64       `json:"size"`
	Root        string      `json:"root"`
	SignedAt    time.Time   `json:"signedAt"`
	Note        string      `json:"note"`
	Checkpoints int64       `json:"checkpoints"`
	Keys        []signedKey `json:"keys"` // in the order of their first signature
}

// signedKey is a key that has signed checkpoints.
type signedKey struct {
	Key   string    `json:"key"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Fold returns the log after one more event.
func (l signedLog) Fold(event domain.Event) signedLog {
	e, ok := event.(domain.CheckpointSigned)
	if !ok {
		return l
	}
	l.Origin, l.Size, l.Root, l.SignedAt, l.Note, l.Checkpoints = e.Origin, e.Size, e.Root, e.SignedAt, e.Note, l.Checkpoints+1
	for _, key := range e.Keys {
		i := slices.IndexFunc(l.Keys, func(k signedKey) bool { return k.Key == key })
		if i < 0 {
			i, l.Keys = len(l.Keys), append(l.Keys, signedKey{Key: key, First: e.SignedAt})
		}
		l.Keys[i].Last = e.SignedAt
	}
	return l
}

// Run reads and prints.
func (c *TransparencyCmd) Run(ctx context.Context, app *App) error {
	client, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	signed, err := commands.Read[signedLog](ctx, eventstoredb.NewStore(client, domain.NewRegistry()), domain.TransparencyStream)
	switch {
	case err != nil:
		return err
	case signed.Checkpoints == 0:
		return errors.New("no checkpoint was ever signed of this log: `liveness work` signs the first one within a minute of the first event")
	case c.JSON:
		return app.PrintJSON(signed)
	case c.Note:
		_, err := fmt.Fprint(app.Out, signed.Note)
		return err
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "LOG\t%s\nLEAVES\t%d\nROOT\t%s\nSIGNED\t%s\nCHECKPOINTS\t%d\n\n", signed.Origin, signed.Size, signed.Root,
		signed.SignedAt.Format(time.RFC3339), signed.Checkpoints)
	fmt.Fprintln(table, "KEY\tFIRST SIGNED\tLAST SIGNED")
	for _, key := range signed.Keys {
		fmt.Fprintf(table, "%s\t%s\t%s\n", key.Key, key.First.Format(time.RFC3339), key.Last.Format(time.RFC3339))
	}
	return table.Flush()
}
