package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Mark is an event by which a log is recognised. Two logs that hold it at the same place are one up to there, because nobody
// draws an id twice; a place alone says nothing about a log that was restored and has grown again.
type Mark struct {
	ID       uuid.UUID `json:"id"`
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	Position uint64    `json:"position"`
}

// MarkOf returns the newest of events as a mark, nil when there is none. What a log forgets by itself is none.
func MarkOf(events []domain.Recorded) *Mark {
	for _, r := range slices.Backward(events) {
		if domain.MaxAge(r.Stream) == 0 {
			return &Mark{ID: r.ID, Stream: r.Stream, Revision: r.Revision, Position: r.Position}
		}
	}
	return nil
}

// Log is what tells logs apart.
//
// Holds returns whether the log has the event of a mark at its place.
type Log interface {
	Head(ctx context.Context) (uint64, error)
	Holds(ctx context.Context, mark Mark) (bool, error)
}

const markLook = 100 * time.Millisecond

// HoldsWithin is Holds for a log that may take a moment to show what it has delivered, as a new leader of a cluster does.
func HoldsWithin(ctx context.Context, log Log, mark Mark, timeout time.Duration) (bool, error) {
	for begun := time.Now(); ; {
		held, err := log.Holds(ctx, mark)
		if held || err != nil || time.Since(begun) >= timeout {
			return held, err
		}
		if err := commands.Sleep(ctx, markLook); err != nil {
			return false, err
		}
	}
}

// ErrOtherLog says that read models were made from another log than the one at hand, or from a later state of it.
var ErrOtherLog = errors.New("the log and the database do not belong together")

// CheckLog compares the read models with the log. It fails with ErrOtherLog when one of them has come further than the log, or
// has taken in an event that the log does not hold.
func CheckLog(ctx context.Context, pool *pgxpool.Pool, log Log) error {
	reached, err := readCheckpoints(ctx, pool)
	if err != nil {
		return err
	}
	head, err := log.Head(ctx) // behind the checkpoints: read models go on meanwhile
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	held := map[Mark]bool{}
	for _, at := range reached {
		if at.shadow() {
			continue // serves nobody yet
		}
		if err := at.within(at.name, head); err != nil {
			return err
		}
		if at.mark == nil || held[*at.mark] {
			continue
		}
		if held[*at.mark], err = log.Holds(ctx, *at.mark); err != nil {
			return fmt.Errorf("compare read model %s with the log: %w", at.name, err)
		}
		if !held[*at.mark] {
			return missing(at.name, *at.mark)
		}
	}
	return nil
}

// namedCheckpoint is the checkpoint of a read model.
type namedCheckpoint struct {
	checkpoint
	name string
}

// shadow returns whether it is of tables that are not, or no longer, queried.
func (c namedCheckpoint) shadow() bool {
	return strings.HasSuffix(c.name, rebuildSuffix) || strings.HasSuffix(c.name, oldSuffix)
}

// readCheckpoints returns all of them, those that have taken in the newest events first.
func readCheckpoints(ctx context.Context, pool *pgxpool.Pool) ([]namedCheckpoint, error) {
	rows, _ := pool.Query(ctx, `
		select name, version, position, event_position, caught_up, mark from projection_checkpoints
		order by (mark->>'position')::bigint desc nulls last, name`)
	reached, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (at namedCheckpoint, err error) {
		err = row.Scan(&at.name, &at.version, &at.position, &at.eventPosition, &at.caughtUp, &at.mark)
		return at, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	return reached, nil
}

// within returns ErrOtherLog when the checkpoint is no place of a log that ends at head.
func (c checkpoint) within(readModel string, head uint64) error {
	at := max(c.position, c.eventPosition)
	switch {
	case c.position < nothingRead || c.eventPosition < nothingRead:
		return fmt.Errorf("%w: read model %s is at position %d, which is none of a log", ErrOtherLog, readModel, min(c.position, c.eventPosition))
	case at > int64(head):
		return fmt.Errorf("%w: read model %s has come to position %d and the log ends at %d", ErrOtherLog, readModel, at, head)
	}
	return nil
}

func missing(readModel string, mark Mark) error {
	return fmt.Errorf("%w: read model %s has taken in event %s, which should be at position %d of the log (%s, revision %d) and is not there, "+
		"so this is another log, or an older one that has grown again", ErrOtherLog, readModel, mark.ID, mark.Position, mark.Stream, mark.Revision)
}

// otherLogAdvice returns what to do about a read model that was made from another log.
func otherLogAdvice(readModel string, err error) string {
	return fmt.Sprintf("%v. Connect the log that it was made from; or, after restoring an older log, make it anew: liveness projections rebuild %s", err, readModel)
}

// recognised returns the checkpoint to go on from, or fails with ErrOtherLog. The log must hold the event that the read model has
// taken in last. Behind it the checkpoint covers events of others, and whether this log has the same there, only what other read
// models have taken in can tell: the place is never behind the newest mark that the log holds. Reading events of others again
// from there changes nothing.
func (i *instance) recognised(ctx context.Context, at checkpoint) (checkpoint, error) {
	if at.mark != nil {
		held, err := HoldsWithin(ctx, i.source, *at.mark, i.recheck)
		if err != nil {
			return at, fmt.Errorf("look for event %s in the log: %w", at.mark.ID, err)
		}
		if !held {
			return at, i.fail(missing(i.Name, *at.mark))
		}
	}
	newest, unknown, err := i.newestHeld(ctx, at.position)
	switch {
	case err != nil:
		return at, err
	case newest != nil:
		return i.stepBack(ctx, at, int64(newest.Position))
	case unknown == nil:
		return at, nil // nobody has kept a mark yet
	case at.eventPosition == nothingRead:
		return i.stepBack(ctx, at, nothingRead)
	}
	return at, i.fail(missing(i.Name, *unknown))
}

// newestHeld returns the newest mark of any read model that the log holds, of those up to a position; when it holds none of
// them, one that it does not.
func (i *instance) newestHeld(ctx context.Context, position int64) (newest, unknown *Mark, err error) {
	reached, err := readCheckpoints(ctx, i.pool)
	if err != nil {
		return nil, nil, err
	}
	for _, at := range reached {
		if at.mark == nil || int64(at.mark.Position) > position {
			continue
		}
		held, err := i.source.Holds(ctx, *at.mark)
		if err != nil {
			return nil, nil, fmt.Errorf("look for event %s in the log: %w", at.mark.ID, err)
		}
		if held {
			return at.mark, nil, nil
		}
		unknown = at.mark
	}
	return nil, unknown, nil
}

// stepBack takes a checkpoint back to a position, unless it is there or before.
func (i *instance) stepBack(ctx context.Context, at checkpoint, position int64) (checkpoint, error) {
	if position >= at.position {
		return at, nil
	}
	back := at
	back.position, back.caughtUp = position, false
	i.mu.Lock()
	i.at = back // first: who watches the stored one must not take this for a database that was restored
	i.mu.Unlock()
	if _, err := i.pool.Exec(ctx, "update projection_checkpoints set position = $4, caught_up = false where name = $1 and version = $2 and position = $3",
		i.schema, at.version, at.position, position); err != nil {
		return at, fmt.Errorf("take the checkpoint of %s back: %w", i.schema, err)
	}
	return back, nil
}
