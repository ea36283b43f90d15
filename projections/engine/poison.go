package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/lease"
)

// ErrPoisonous marks an error of Apply as the event's own fault: applying it again can never succeed.
var ErrPoisonous = errors.New("poisonous event")

// poisonous returns whether an error is the fault of an event and not of the surroundings. In doubt it is not: what blocks
// is noticed and can be repaired, what is skipped is gone.
func poisonous(err error) bool {
	if errors.Is(err, ErrPoisonous) {
		return true
	}
	if unreadable := (Undecodable{}); errors.As(err, &unreadable) {
		return true
	}
	if panicked := (middleware.RecoveredPanicError{}); errors.As(err, &panicked) {
		return true
	}
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && len(refused.Code) == 5 {
		class := refused.Code[:2]
		return class == "22" || class == "23" // data out of range, constraint broken
	}
	return false
}

// worthRetrying returns whether the same batch may succeed at another attempt.
func worthRetrying(err error) bool {
	ended := errors.Is(err, errSuperseded) || errors.Is(err, errStopped) || errors.Is(err, errMovedBack) || errors.Is(err, lease.ErrLost)
	return !poisonous(err) && !ended
}

// isolatePoison finds the event that a batch fails by: it halves the batch until the failing part is one event, so that
// all others are applied, and then stops there or parks it.
func (i *instance) isolatePoison(next message.HandlerFunc) message.HandlerFunc {
	var isolate message.HandlerFunc
	isolate = func(msg *message.Message) ([]*message.Message, error) {
		produced, err := next(msg)
		if err == nil {
			return produced, nil
		}
		ctx := msg.Context()
		if !poisonous(err) {
			i.noteFailure(ctx, err)
			return nil, err
		}
		batch, _ := BatchOf(msg)
		events := after(batch.Events, i.current().position)
		if len(events) <= 1 {
			return nil, i.dealWith(ctx, Batch{Events: events, Position: batch.Position, CaughtUp: batch.CaughtUp}, err)
		}
		middle := len(events) / 2
		for _, part := range []Batch{
			{Events: events[:middle], Position: events[middle-1].Position},
			{Events: events[middle:], Position: batch.Position, CaughtUp: batch.CaughtUp},
		} {
			half := msg.CopyWithContext()
			WithBatch(half, part)
			if _, err := isolate(half); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	return isolate
}

// dealWith stops at, or parks, the one event of a batch.
func (i *instance) dealWith(ctx context.Context, batch Batch, cause error) error {
	if len(batch.Events) == 0 {
		return cause
	}
	bad := batch.Events[0]
	reason := fmt.Sprintf("%s, revision %d of %s (position %d): %s", bad.Event.EventType(), bad.Revision, bad.Stream, bad.Position, explain(cause))
	if i.StopsOnPoison {
		i.log.ErrorContext(ctx, "projection stops at a poisonous event", "projection", i.schema, "position", bad.Position, "error", reason)
		i.note(ctx, reason, &StoppedEvent{
			Position: bad.Position, Stream: bad.Stream, Revision: bad.Revision, EventID: bad.ID, Type: bad.Event.EventType(),
		})
		return i.fail(fmt.Errorf("%w: %s", errStopped, reason))
	}
	err := i.advance(ctx, batch, func(ctx context.Context, tx pgx.Tx, _ []domain.Recorded) error {
		_, err := tx.Exec(ctx, `
			insert into projection_parked (name, position, stream, revision, event_id, type, error) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (name, position) do update set error = excluded.error, parked_at = now()`,
			i.schema, bad.Position, bad.Stream, bad.Revision, bad.ID, bad.Event.EventType(), explain(cause))
		return err
	})
	if err != nil {
		return fmt.Errorf("park %s: %w", reason, err)
	}
	i.log.ErrorContext(ctx, "projection parks a poisonous event", "projection", i.schema, "position", bad.Position, "error", reason)
	return nil
}

// lockTimedOut is what Postgres says when a lock was waited for too long.
const lockTimedOut = "55P03"

// explain returns the text of an error without the stack of a panic.
func explain(err error) string {
	if panicked := (middleware.RecoveredPanicError{}); errors.As(err, &panicked) {
		return fmt.Sprintf("panic: %v", panicked.V)
	}
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == lockTimedOut {
		return "another session of Postgres holds a lock on its tables: look for it in pg_stat_activity and pg_locks"
	}
	return err.Error()
}

// noteFailure makes visible why a read model does not go on; the next commit clears it.
func (i *instance) noteFailure(ctx context.Context, err error) {
	if ctx.Err() != nil || !worthRetrying(err) {
		return
	}
	i.note(ctx, explain(err), nil)
}

func (i *instance) note(ctx context.Context, reason string, stopped *StoppedEvent) {
	if _, err := i.pool.Exec(ctx, `
		update projection_checkpoints
		set error = $3, stopped = $4, stopped_at = $5, caught_up = false, updated_at = now() where name = $1 and version = $2`,
		i.schema, i.Version, reason, stopped != nil, stopped); err != nil {
		i.log.WarnContext(ctx, "cannot note why a projection does not go on", "projection", i.schema, "error", err)
	}
}
