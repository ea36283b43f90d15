package engine

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// StoppedEvent is the event that a read model cannot apply and does not go past.
type StoppedEvent struct {
	Position uint64    `json:"position"`
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	EventID  uuid.UUID `json:"eventId"`
	Type     string    `json:"type"`
}

// ToSkip returns what is to be recorded, but for the reason, so that a read model goes past the event at a position. It fails
// when the read model, or its build beside the running one, is not stopped at that event: nothing else may be skipped.
func (e *Engine) ToSkip(ctx context.Context, readModel string, position uint64) (domain.ProjectionSkipped, error) {
	if _, err := e.projection(readModel); err != nil {
		return domain.ProjectionSkipped{}, err
	}
	rows, _ := e.Pool.Query(ctx,
		"select stopped_at from projection_checkpoints where name in ($1, $2) and stopped and stopped_at is not null", readModel, readModel+rebuildSuffix)
	stops, err := pgx.CollectRows(rows, pgx.RowTo[StoppedEvent])
	if err != nil {
		return domain.ProjectionSkipped{}, fmt.Errorf("read where %s is stopped: %w", readModel, err)
	}
	for _, at := range stops {
		if at.Position == position {
			return domain.ProjectionSkipped{
				ReadModel: readModel, EventID: at.EventID, Position: at.Position, Stream: at.Stream, Revision: at.Revision, Type: at.Type,
			}, nil
		}
	}
	if len(stops) > 0 {
		return domain.ProjectionSkipped{}, fmt.Errorf("read model %s is stopped at position %d, not at %d; only the event that it is stopped at can be skipped",
			readModel, stops[0].Position, position)
	}
	return domain.ProjectionSkipped{}, fmt.Errorf("read model %s is not stopped, so there is nothing to skip", readModel)
}

// readSkips returns what a read model goes past, by the event's id. It is read from the log whenever a subscription begins:
// what can be skipped has stopped the read model, so it begins again behind every skip, and a build from the start of the log
// goes past the same events whatever database it fills.
func readSkips(ctx context.Context, source Source, readModel string) (map[uuid.UUID]audit.Skip, error) {
	events, err := source.ReadStream(ctx, domain.ProjectionStream(readModel))
	if err != nil {
		return nil, fmt.Errorf("read what operators let %s go past: %w", readModel, err)
	}
	skips := map[uuid.UUID]audit.Skip{}
	for _, recorded := range events {
		if skip, ok := recorded.Event.(domain.ProjectionSkipped); ok {
			skips[skip.EventID] = audit.Skip{Actor: recorded.Meta.Actor, ProjectionSkipped: skip}
		}
	}
	return skips, nil
}

type skippedKey struct{}

// skippedPlace is where in a stream an event stands that a read model goes past.
type skippedPlace struct {
	stream   string
	revision uint64
}

// withSkips tells Apply what the read model goes past.
func withSkips(ctx context.Context, skips map[uuid.UUID]audit.Skip) context.Context {
	if len(skips) == 0 {
		return ctx
	}
	places := make(map[skippedPlace]bool, len(skips))
	for _, skip := range skips {
		places[skippedPlace{skip.Stream, skip.Revision}] = true
	}
	return context.WithValue(ctx, skippedKey{}, places)
}

// BehindSkipped tells Apply whether the read model goes past the event directly in front of another in its stream. Who stops at a
// gap must not stop there: nothing would ever come behind it again.
func BehindSkipped(ctx context.Context, r domain.Recorded) bool {
	places, _ := ctx.Value(skippedKey{}).(map[skippedPlace]bool)
	return places[skippedPlace{r.Stream, r.Revision - 1}]
}

// skip returns the events that are to be applied and notes the others, in the transaction that moves the checkpoint past them.
func (i *instance) skip(
	ctx context.Context, tx pgx.Tx, skips map[uuid.UUID]audit.Skip, events []domain.Recorded,
) ([]domain.Recorded, error) {
	if len(skips) == 0 {
		return events, nil
	}
	kept := make([]domain.Recorded, 0, len(events))
	for _, recorded := range events {
		skip, ok := skips[recorded.ID]
		if !ok {
			kept = append(kept, recorded)
			continue
		}
		if _, err := tx.Exec(ctx, `
			insert into projection_parked (name, position, stream, revision, event_id, type, error, why, skipped_by)
			values ($1, $2, $3, $4, $5, $6, '', $7, $8)
			on conflict (name, position) do update set error = '', why = excluded.why, skipped_by = excluded.skipped_by, parked_at = now()`,
			i.schema, recorded.Position, recorded.Stream, recorded.Revision, recorded.ID, recorded.Event.EventType(), skip.Why, skip.Actor); err != nil {
			return nil, fmt.Errorf("note that %s skips position %d: %w", i.Name, recorded.Position, err)
		}
		i.log.WarnContext(ctx, "projection goes past an event that an operator said to skip", "projection", i.schema, "position", recorded.Position, "why", skip.Why)
	}
	return kept, nil
}
