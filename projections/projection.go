// Package projections keeps read models in Postgres: one file per read model with its tables, the events it follows, what
// each of them changes, and the queries over it. The engine in the other files runs them.
//
// A read model is exactly-once in effect: a batch of events and the checkpoint that covers it commit in one transaction,
// and the checkpoint moves only from where the batch began. Projections write their own tables and nothing else, so
// replaying never repeats a side effect.
package projections

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
	// Events are the types followed.
	Events []string
	// Apply changes the tables by a batch of events, in order, without schema names. It must depend on the events alone (no
	// clock, no randomness, no other tables), and applying events again that the tables already show must change nothing.
	Apply func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error
	// StopsOnPoison says what happens at an event that can never be applied: stop there until a person or a newer program
	// helps, because a gap would be wrong billing or a live dead key, or else park the event visibly and go on.
	StopsOnPoison bool
}

// All lists the read models of the product.
func All() []Projection {
	return []Projection{APIKeysProjection(), UsageProjection(), SubscriptionsProjection(), AccountsProjection(), ActivityProjection(), MeteringProjection()}
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

// types names the types of events.
func types(events ...domain.Event) []string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.EventType()
	}
	return names
}

// statements collects what the events of a batch change, to be sent in one round trip.
type statements struct {
	pgx.Batch
}

func (s *statements) add(sql string, args ...any) { s.Queue(sql, args...) }

// applyEach runs what change adds for every event, in the order of the log. It suits read models of rare events.
func applyEach(change func(*statements, domain.Recorded)) func(context.Context, pgx.Tx, []domain.Recorded) error {
	return func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
		var all statements
		for _, recorded := range batch {
			change(&all, recorded)
		}
		if all.Len() == 0 {
			return nil
		}
		return tx.SendBatch(ctx, &all.Batch).Close()
	}
}
