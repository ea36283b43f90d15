// Package projections holds the read models: one file, or a pair with its queries, per read model, with its tables, the
// events it follows, what each of them changes, and the queries over it. Nothing here reads the log, keeps a checkpoint or
// knows how often an event is applied: package engine does that.
package projections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// All lists the read models of the product.
func All() []engine.Projection {
	return []engine.Projection{
		APIKeysProjection(), UsageProjection(), SubscriptionsProjection(), AccountsProjection(), ActivityProjection(), MembersProjection(),
		MeteringProjection(), KeyHistoryProjection(), TrafficProjection(), SecretUseProjection(), TransparencyProjection(),
	}
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
