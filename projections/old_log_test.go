package projections_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain/domaintest"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

var writeRows = flag.Bool("write-rows", false, "write the rows that old events lead to")

// TestOldEventsLeadToTodaysRows: every version of every event, as it stands in customers' logs, reaches the read models that follow
// it, and leads to the rows that are kept in testdata.
func TestOldEventsLeadToTodaysRows(t *testing.T) {
	t.Parallel()
	pool, log := pgtest.Pool(t), domaintest.OldLog(t, filepath.Join("..", "domain", "testdata", "events"))
	for _, p := range projections.All() {
		if p.Name == projections.TransparencyProjection().Name {
			continue // the tree is over the bytes of events, whatever they say
		}
		if err := engine.Prepare(t.Context(), pool, p); err != nil {
			t.Fatal(err)
		}
		applyAll(t, pool, p, log)
		got := rowsOf(t, pool, p.Name)
		file := filepath.Join("testdata", "rows", p.Name+".txt")
		if *writeRows {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v (go test ./projections -write-rows writes it)", err)
			continue
		}
		before, after := strings.Split(string(want), "\n"), strings.Split(got, "\n")
		for i := range max(len(before), len(after)) {
			if i >= len(before) || i >= len(after) || before[i] != after[i] {
				t.Errorf("%s shows other rows than before, first in line %d. If they are right, go test ./projections -write-rows writes them:\n%s\nwas\n%s",
					p.Name, i+1, after[min(i, len(after)-1)], before[min(i, len(before)-1)])
				break
			}
		}
	}
}

// rowsOf returns all rows of a read model's tables.
func rowsOf(t *testing.T, pool *pgxpool.Pool, schema string) string {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "set timezone to 'UTC'"); err != nil {
		t.Fatal(err)
	}
	rows, _ := conn.Query(t.Context(), "select tablename from pg_tables where schemaname = $1 order by tablename", schema)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, table := range tables {
		rows, _ := conn.Query(t.Context(), "select row_to_json(t)::text collate \"C\" from "+pgx.Identifier{schema, table}.Sanitize()+" as t order by 1")
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(table + "\n")
		for _, line := range lines {
			all.WriteString("  " + line + "\n")
		}
	}
	return all.String()
}
