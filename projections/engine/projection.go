// Package engine maintains read models in Postgres, whatever they show: it follows the log through the source port, applies
// batches of events together with the checkpoint that covers them, builds shadows and swaps them in, and tells how all that
// stands. What a read model shows belongs to package projections; how a log is followed, to an adapter.
//
// A read model is exactly-once in effect: a batch of events and the checkpoint that covers it commit in one transaction,
// and the checkpoint moves only from where the batch began. Projections write their own tables and nothing else, so
// replaying never repeats a side effect.
package engine

import (
	"context"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/domain"
)

// Projection describes how one read model is made of events.
type Projection struct {
	// Name is the Postgres schema that holds the read model's tables, and the name of its checkpoint.
	Name string
	// Version grows with every change of Tables or Apply that old rows do not fit. The engine then builds the read model
	// anew beside the running one and swaps them.
	Version int
	// Tables is the DDL, without schema names: it is also run for the copy that is built beside.
	Tables string
	// Indexes are those that only make queries faster, by name, each from "on" on. One may be added in a program of the same
	// Version: tables that an older program has made get it at the next start.
	Indexes map[string]string
	// Events are the types followed.
	Events []string
	// Apply changes the tables by a batch of events, in order, without schema names. It must depend on the events, and those
	// that the read model goes past, alone (no clock, no randomness, no other tables), and applying events again that the
	// tables already show must change nothing.
	Apply func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error
	// TakesUndecodable says that Apply rests on the bytes of events alone and takes those that this program cannot decode.
	TakesUndecodable bool
	// StopsOnPoison says what happens at an event that can never be applied: stop there until a person or a newer program
	// helps, because a gap would be wrong billing or a live dead key, or else park the event visibly and go on.
	StopsOnPoison bool
}

var namePattern = regexp.MustCompile(`^[a-z][a-z_]{0,39}$`)

func (p Projection) validate() error {
	switch {
	case !namePattern.MatchString(p.Name):
		return fmt.Errorf("projection %q: a name is made of lower-case letters and underscores", p.Name)
	case p.Version < 1:
		return fmt.Errorf("projection %s: versions start at 1", p.Name)
	case len(p.Events) == 0 || p.Tables == "" || p.Apply == nil:
		return fmt.Errorf("projection %s needs tables, events and a way to apply them", p.Name)
	}
	return nil
}
