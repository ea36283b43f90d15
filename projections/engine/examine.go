package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// examination holds read models against a log, without changing either. Each is made anew from the events that it is given in
// tables of its session alone, which end with it, inside a transaction that the server lets write nowhere else. What is
// running is seen as of the moment at which the examination began, together with the place of the log that it shows.
type examination struct {
	examined []*examined
	locating bool
}

// examined is one read model under examination.
type examined struct {
	Projection
	tx      pgx.Tx
	release func()
	wanted  map[string]bool
	skipped map[uuid.UUID]audit.Skip // operators let the read model go past these events
	limit   int64                    // the place of the log that the running one shows

	behind  uint64 // position of the last event that was applied
	batch   []domain.Recorded
	batches chan []domain.Recorded
	result  auditing.ReadModel
}

// examinedBatch is how many events are applied at once.
const examinedBatch = 4096

// Examiner examines the read models of a database.
type Examiner struct {
	Pool        *pgxpool.Pool // whose transactions are read-only unless they say otherwise
	Projections []Projection
}

var _ auditing.ReadModels = Examiner{}

// Names returns which read models there are.
func (x Examiner) Names() []string {
	names := make([]string, len(x.Projections))
	for i, p := range x.Projections {
		names[i] = p.Name
	}
	return names
}

// Examine implements auditing.ReadModels.
func (x Examiner) Examine(ctx context.Context, o auditing.Examination, feed auditing.Feed) ([]auditing.ReadModel, error) {
	examination := &examination{locating: o.Locating}
	defer examination.close()
	if err := awaitRunning(ctx, x.Pool, o.Names, int64(o.Head), runningTimeout); err != nil {
		return nil, err
	}
	for _, p := range x.Projections {
		if !slices.Contains(o.Names, p.Name) {
			continue
		}
		e, err := beginExamination(ctx, x.Pool, p, o)
		if err != nil {
			return nil, fmt.Errorf("examine read model %s: %w", p.Name, err)
		}
		examination.examined = append(examination.examined, e)
	}
	return examination.run(ctx, feed)
}

func beginExamination(ctx context.Context, pool *pgxpool.Pool, p Projection, o auditing.Examination) (*examined, error) {
	// A session of its own: read models have tables of the same name.
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	e := &examined{
		Projection: p, wanted: map[string]bool{}, skipped: o.Skipped[p.Name], result: auditing.ReadModel{Name: p.Name},
		release: func() { _ = conn.Close(context.WithoutCancel(ctx)) }, // and with it its tables
	}
	for _, eventType := range p.Events {
		e.wanted[eventType] = true
	}
	if err := e.begin(ctx, conn, o.Locating); err != nil {
		e.release()
		return nil, err
	}
	return e, nil
}

// begin fixes what the examination sees and makes the empty tables.
func (e *examined) begin(ctx context.Context, conn *pgx.Conn, locating bool) (err error) {
	if e.tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadWrite}); err != nil {
		return err
	}
	at, known, err := readCheckpoint(ctx, e.tx, e.Name, "")
	switch {
	case err != nil:
		return err
	case !known:
		e.result.Unfinished = "it does not exist in this database; `liveness work` makes it"
		return nil
	case at.version != e.Version:
		e.result.Unfinished = fmt.Sprintf("it is of version %d, this program's is %d: only equal versions can be compared", at.version, e.Version)
		return nil
	}
	e.limit, e.result.Position = at.position, uint64(max(at.position, 0))
	tables := e.Tables
	if locating {
		tables += "; create table " + placesTable + " (behind bigint not null, first bigint not null, last bigint not null)"
	}
	for _, sql := range []string{
		"set local search_path = pg_temp", tables, "set transaction read only", // from here on the server takes nothing but rows of these tables
	} {
		if _, err := e.tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make tables beside: %w", err)
		}
	}
	return nil
}

// placesTable says in which command of the session which events were applied.
const placesTable = "examined_places"

// run applies the events that feed hands over, in the order of the log, and compares.
func (x *examination) run(ctx context.Context, feed auditing.Feed) ([]auditing.ReadModel, error) {
	running, feeding := errgroup.WithContext(ctx)
	for _, e := range x.examined {
		e.batches = make(chan []domain.Recorded, 1)
		running.Go(func() error {
			for batch := range e.batches {
				if err := e.apply(feeding, batch, x.locating); err != nil {
					return fmt.Errorf("make read model %s from the log: %w", e.Name, err)
				}
			}
			return nil
		})
	}
	running.Go(func() error {
		defer func() {
			for _, e := range x.examined {
				close(e.batches)
			}
		}()
		if err := feed(feeding, func(r domain.Recorded) error { return x.take(feeding, r) }); err != nil {
			return err
		}
		for _, e := range x.examined {
			if err := e.hand(feeding); err != nil {
				return err
			}
		}
		return nil
	})
	if err := running.Wait(); err != nil {
		return nil, err
	}
	results := make([]auditing.ReadModel, len(x.examined))
	for i, e := range x.examined {
		if err := e.compare(ctx, x.locating); err != nil {
			return nil, fmt.Errorf("compare read model %s: %w", e.Name, err)
		}
		results[i] = e.result
	}
	return results, nil
}

// close ends the examination; nothing of it stays.
func (x *examination) close() {
	for _, e := range x.examined {
		e.release()
	}
}

// take hands an event to the read models that want it.
func (x *examination) take(ctx context.Context, r domain.Recorded) error {
	for _, e := range x.examined {
		if int64(r.Position) > e.limit || !e.wanted[r.Event.EventType()] {
			continue
		}
		if _, skipped := e.skipped[r.ID]; skipped {
			continue
		}
		// What is looked for is found by event where events are rare, by group where they are many.
		_, many := r.Event.(domain.CheckCompleted)
		if x.locating && !many && len(e.batch) > 0 {
			if err := e.hand(ctx); err != nil {
				return err
			}
		}
		e.batch = append(e.batch, r)
		if len(e.batch) == examinedBatch || x.locating && !many {
			if err := e.hand(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *examined) hand(ctx context.Context) error {
	batch := e.batch
	e.batch = nil
	if len(batch) == 0 {
		return nil
	}
	select {
	case e.batches <- batch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apply applies events as the engine does: what can never be applied is parked, or ends the examination of what stops there.
func (e *examined) apply(ctx context.Context, batch []domain.Recorded, locating bool) error {
	if e.result.Unfinished != "" {
		return nil
	}
	err := pgx.BeginFunc(ctx, e.tx, func(tx pgx.Tx) error {
		if locating {
			if _, err := tx.Exec(ctx, "insert into "+placesTable+" values ($1, $2, $3)",
				e.behind, batch[0].Position, batch[len(batch)-1].Position); err != nil {
				return err
			}
		}
		for _, r := range batch {
			if unreadable, ok := r.Event.(auditing.Unreadable); ok && !e.TakesUndecodable {
				return fmt.Errorf("%w: %w", ErrPoisonous, unreadable.Err)
			}
		}
		return e.Apply(withSkips(ctx, e.skipped), tx, batch)
	})
	switch {
	case err == nil:
		e.behind = batch[len(batch)-1].Position
		return nil
	case !poisonous(err):
		return err
	case len(batch) > 1:
		middle := len(batch) / 2
		return errors.Join(e.apply(ctx, batch[:middle], locating), e.apply(ctx, batch[middle:], locating))
	case e.StopsOnPoison:
		bad := batch[0]
		e.result.Unfinished = fmt.Sprintf("revision %d of %s (position %d): %s", bad.Revision, bad.Stream, bad.Position, explain(err))
	}
	return nil
}
