package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

// Content is what a table holds, whatever order its rows are in.
type Content struct {
	Rows int64  `json:"rows"`
	Hash string `json:"hash"` // the sum of the hashes of its rows
}

// TableComparison holds a table of the running read model against that of the one built anew.
type TableComparison struct {
	Table   string  `json:"table"`
	Running Content `json:"running"`
	Rebuilt Content `json:"rebuilt"`
}

// Equal returns whether both hold the same rows.
func (t TableComparison) Equal() bool { return t.Running == t.Rebuilt }

// Comparison holds a running read model against the same built anew, both at the same place of the log.
type Comparison struct {
	Name     string            `json:"name"`
	Position uint64            `json:"position"` // of that place
	Head     uint64            `json:"head"`     // where the log ended when comparing began
	Tables   []TableComparison `json:"tables"`
}

// Behind returns whether the running read model had not come to where the log ended when comparing began. What lies between is
// in neither of the two, so that they are equal proves nothing of it.
func (c Comparison) Behind() bool { return c.Position < c.Head }

// Equal returns whether all tables hold the same rows.
func (c Comparison) Equal() bool {
	for _, t := range c.Tables {
		if !t.Equal() {
			return false
		}
	}
	return true
}

const (
	// quickRound is how fast the new tables must follow the running ones before those are held still. Places that no event of
	// theirs has are noted within a second.
	quickRound = 3 * time.Second
	// runningTimeout is how long running read models may stay where they are before nobody waits for them any longer: also the
	// time within which one worker takes over from another.
	runningTimeout = 15 * time.Second
	runningLook    = 50 * time.Millisecond
)

// compare brings the new tables to the very place to which the running ones cover the log, not before head as long
// as they go on, and compares both. They are held still only until a snapshot is taken; the tables are read from that, at
// leisure.
func (e *Engine) compare(ctx context.Context, i *instance, track *track, head uint64, patience time.Duration) (Comparison, error) {
	follow := func(ctx context.Context, position int64) error {
		i.gate.hold(position)
		return track.await(ctx, func(at checkpoint) bool { return at.position >= position })
	}
	if err := awaitRunning(ctx, e.Pool, []string{i.Name}, int64(head), patience); err != nil {
		return Comparison{}, err
	}
	for quick := false; !quick; {
		running, _, err := readCheckpoint(ctx, e.Pool, i.Name, "")
		if err != nil {
			return Comparison{}, err
		}
		begun := time.Now()
		if err := follow(ctx, running.position); err != nil {
			return Comparison{}, err
		}
		quick = time.Since(begun) < quickRound
	}
	snapshot, err := e.Pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Comparison{}, fmt.Errorf("begin the snapshot: %w", err)
	}
	defer func() { _ = snapshot.Rollback(ctx) }()
	comparison := Comparison{Name: i.Name, Head: head}
	err = pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		running, _, err := readCheckpoint(ctx, tx, i.Name, "for update")
		if err != nil {
			return err
		}
		brief, cancel := context.WithTimeout(ctx, holdTimeout)
		defer cancel()
		if err := follow(brief, running.position); err != nil {
			return fmt.Errorf("reach the running read model: %w", err)
		}
		comparison.Position = uint64(max(running.position, 0))
		_, err = snapshot.Exec(ctx, "select 1") // the first statement fixes what the transaction sees
		return err
	})
	if err != nil {
		return Comparison{}, err
	}
	comparison.Tables, err = compareTables(ctx, snapshot, i.Name, i.schema)
	return comparison, err
}

// awaitRunning waits until the running read models have come to a position, as long as one of them goes on within patience.
func awaitRunning(ctx context.Context, pool *pgxpool.Pool, names []string, position int64, patience time.Duration) error {
	var last []int64
	for since := time.Now(); ; {
		rows, _ := pool.Query(ctx, "select position from projection_checkpoints where name = any ($1) and position < $2 order by name", names, position)
		behind, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("read how far the read models have come: %w", err)
		}
		if !slices.Equal(behind, last) {
			last, since = behind, time.Now()
		}
		if len(behind) == 0 || time.Since(since) >= patience {
			return nil
		}
		if err := commands.Sleep(ctx, runningLook); err != nil {
			return err
		}
	}
}

func compareTables(ctx context.Context, tx pgx.Tx, running, rebuilt string) ([]TableComparison, error) {
	rows, _ := tx.Query(ctx, `
		select distinct table_name::text from information_schema.tables where table_schema in ($1, $2) order by 1`, running, rebuilt)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", running, err)
	}
	tables := make([]TableComparison, len(names))
	for n, name := range names {
		tables[n].Table = name
		if tables[n].Running, err = contentOf(ctx, tx, running, name); err != nil {
			return nil, err
		}
		if tables[n].Rebuilt, err = contentOf(ctx, tx, rebuilt, name); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

func contentOf(ctx context.Context, tx pgx.Tx, schema, table string) (Content, error) {
	var c Content
	err := tx.QueryRow(ctx,
		"select count(*), coalesce(sum(hash_record_extended(t, 0)), 0)::text from "+pgx.Identifier{schema, table}.Sanitize()+" as t").
		Scan(&c.Rows, &c.Hash)
	if err != nil {
		return c, fmt.Errorf("read %s.%s: %w", schema, table, err)
	}
	return c, nil
}
