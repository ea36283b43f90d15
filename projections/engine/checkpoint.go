package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/projections/lease"
)

// A read model that is built anew has its schema and its checkpoint under its name with this suffix until it is swapped
// in; what it replaces has the other one until it is dropped.
const (
	rebuildSuffix = "__rebuild"
	oldSuffix     = "__old"
)

// nothingRead is the position of a checkpoint before the first event.
const nothingRead int64 = -1

// checkpoint says how far the tables of a schema have come.
type checkpoint struct {
	version       int
	position      int64 // the log is covered up to here
	eventPosition int64 // of the last event applied
	caughtUp      bool
	mark          *Mark // the newest event applied that the log does not forget
}

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// readCheckpoint reads a checkpoint; false when there is none. Mode "for update" holds it still until the transaction ends.
func readCheckpoint(ctx context.Context, q querier, schema, mode string) (checkpoint, bool, error) {
	var c checkpoint
	err := q.QueryRow(ctx,
		"select version, position, event_position, caught_up, mark from projection_checkpoints where name = $1 "+mode, schema).
		Scan(&c.version, &c.position, &c.eventPosition, &c.caughtUp, &c.mark)
	if errors.Is(err, pgx.ErrNoRows) {
		return checkpoint{}, false, nil
	}
	if err != nil {
		return checkpoint{}, false, fmt.Errorf("read checkpoint of %s: %w", schema, err)
	}
	return c, true, nil
}

// moveCheckpoint takes a checkpoint from one place to the next, in the transaction that changes the tables accordingly.
// It reports false when the checkpoint is not where from says: somebody else maintains the tables too, or they were
// swapped, or a commit of ours got through whose answer was lost.
func moveCheckpoint(ctx context.Context, tx pgx.Tx, schema string, from, to checkpoint, eventAt *time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		update projection_checkpoints set
			position = $4, event_position = $5, event_at = coalesce($6, event_at), caught_up = $7, mark = coalesce($8, mark),
			stopped = false, error = null, updated_at = now(), passed_at = now()
		where name = $1 and version = $2 and position = $3`,
		schema, from.version, from.position, to.position, to.eventPosition, eventAt, to.caughtUp, to.mark)
	if err != nil {
		return false, fmt.Errorf("move checkpoint of %s: %w", schema, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Prepare makes the tables of read models that have none yet, so that they can be queried, and be found empty, before
// anything maintains them. Several nodes may call it at the same time.
func Prepare(ctx context.Context, pool *pgxpool.Pool, projections ...Projection) error {
	if ready, err := prepared(ctx, pool, projections); ready || err != nil {
		return err
	}
	for _, p := range projections {
		if err := p.validate(); err != nil {
			return err
		}
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := lease.HoldUntilCommit(ctx, tx, p.Name+" tables"); err != nil {
				return err
			}
			made, exists, err := readCheckpoint(ctx, tx, p.Name, "")
			switch {
			case err != nil:
				return err
			case !exists:
				return createTables(ctx, tx, p, p.Name)
			case made.version == p.Version:
				return createIndexes(ctx, tx, p, p.Name)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("prepare read model %s: %w", p.Name, err)
		}
	}
	return nil
}

// prepared reports whether all tables and indexes are there. It is one question, where to make sure takes several for each read
// model and the start of every node waits for it.
func prepared(ctx context.Context, pool *pgxpool.Pool, projections []Projection) (ready bool, err error) {
	var names, indexes []string
	var versions []int
	for _, p := range projections {
		names, versions = append(names, p.Name), append(versions, p.Version)
		for name := range p.Indexes {
			indexes = append(indexes, quoted(p.Name)+"."+quoted(name))
		}
	}
	err = pool.QueryRow(ctx, `
		select not exists (
			select from unnest($1::text[], $2::int[]) as wanted (name, version)
			where not exists (select from projection_checkpoints made where made.name = wanted.name and made.version = wanted.version)
		) and not exists (select from unnest($3::text[]) as index where to_regclass(index) is null)`,
		names, versions, indexes).Scan(&ready)
	if err != nil {
		return false, fmt.Errorf("look for the read models' tables: %w", err)
	}
	return ready, nil
}

// createTables makes a schema with a projection's empty tables and its checkpoint. What an interrupted attempt left under
// that name is dropped.
func createTables(ctx context.Context, tx pgx.Tx, p Projection, schema string) error {
	if err := dropTables(ctx, tx, schema); err != nil {
		return err
	}
	// The row comes before the path is set: it is not in the read model's schema.
	if _, err := tx.Exec(ctx, "insert into projection_checkpoints (name, version) values ($1, $2)", schema, p.Version); err != nil {
		return fmt.Errorf("create checkpoint of %s: %w", schema, err)
	}
	if _, err := tx.Exec(ctx, "create schema "+quoted(schema)); err != nil {
		return fmt.Errorf("create schema %s: %w", schema, err)
	}
	if err := enter(ctx, tx, schema); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, p.Tables); err != nil {
		return fmt.Errorf("create tables of %s: %w", schema, err)
	}
	return createIndexes(ctx, tx, p, schema)
}

// createIndexes makes those that are not there yet. It asks first: to create one locks the table, also when it is there.
func createIndexes(ctx context.Context, tx pgx.Tx, p Projection, schema string) error {
	for name, on := range p.Indexes {
		var there bool
		if err := tx.QueryRow(ctx, "select exists (select from pg_catalog.pg_indexes where schemaname = $1 and indexname = $2)", schema, name).Scan(&there); err != nil {
			return fmt.Errorf("look for index %s of %s: %w", name, schema, err)
		}
		if there {
			continue
		}
		if err := enter(ctx, tx, schema); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "create index "+quoted(name)+" "+on); err != nil {
			return fmt.Errorf("create index %s of %s: %w", name, schema, err)
		}
	}
	return nil
}

func dropTables(ctx context.Context, tx pgx.Tx, schema string) error {
	for _, sql := range []string{
		"drop schema if exists " + quoted(schema) + " cascade",
		"delete from projection_checkpoints where name = '" + schema + "'",
		"delete from projection_parked where name = '" + schema + "'",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("drop %s: %w", schema, err)
		}
	}
	return nil
}

// enter makes unqualified names mean those of schema until the transaction ends.
func enter(ctx context.Context, tx pgx.Tx, schema string) error {
	if _, err := tx.Exec(ctx, "select set_config('search_path', $1, true)", schema); err != nil {
		return fmt.Errorf("enter schema %s: %w", schema, err)
	}
	return nil
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
