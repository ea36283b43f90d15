package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// A log that was restored from an older backup than the database must not be worked with.
func TestLogOfAnotherTimeIsRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	if err := engine.CheckLog(t.Context(), pool, log); err != nil {
		t.Fatalf("an empty database: %v", err)
	}
	head := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...)
	stop := projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))
	projectionstest.WaitFor(t, pool, "ledger", head)
	stop()
	if err := engine.CheckLog(t.Context(), pool, log); err != nil {
		t.Errorf("the log that it was made from: %v", err)
	}
	older := memorylog.New()
	older.Append(c.UsageStream(memorylog.Epoch), log.All()[0].Event, log.All()[1].Event)
	if err := engine.CheckLog(t.Context(), pool, older); !errors.Is(err, engine.ErrOtherLog) {
		t.Errorf("an older state of the log: %v, want %v", err, engine.ErrOtherLog)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e := projectionstest.NewEngine(t, pool, older, ledger(nil))
	stop = projectionstest.Run(t, e)
	projectionstest.Eventually(t, "the read model says why it does not follow", func() bool {
		s := projectionstest.Status(t, e, "ledger")
		return s.State == engine.StateFailing && strings.Contains(s.Error, "the log ends at 20")
	})
	stop()
	wantAll(t, pool, 3)
	if _, err := e.Compare(ctx, "ledger", nil); !errors.Is(err, engine.ErrOtherLog) {
		t.Errorf("compare with the older log: %v, want %v", err, engine.ErrOtherLog)
	}
	if _, err := e.Rebuild(ctx, "ledger", nil); err != nil {
		t.Fatalf("rebuild from the older log: %v", err)
	}
	wantAll(t, pool, 2)
	if err := engine.CheckLog(t.Context(), pool, older); err != nil {
		t.Errorf("after the rebuild: %v", err)
	}
}

// Read models go on while they are compared with the log.
func TestLogThatGrowsMeanwhileIsTheSame(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	defer projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))()
	grow := func() {
		projectionstest.WaitFor(t, pool, "ledger", log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 1)...))
	}
	grow()
	if err := engine.CheckLog(t.Context(), pool, askedLog{log, grow}); err != nil {
		t.Error(err)
	}
}

// askedLog is a log of which something happens as soon as its end was read.
type askedLog struct {
	engine.Source
	then func()
}

func (l askedLog) Head(ctx context.Context) (uint64, error) {
	defer l.then()
	return l.Source.Head(ctx)
}

// TestPreparingAgainAsksOnce: every start of a node waits for it.
func TestPreparingAgainAsksOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Migrated(t)
	models := []engine.Projection{ledger(nil), ledger(nil), ledger(nil)}
	models[0].Indexes = map[string]string{"by_ordinal": "on entries (ordinal)"}
	models[1].Name, models[2].Name = "second", "third"
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	var asked questions
	config.ConnConfig.Tracer = &asked
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for range 2 {
		asked.Store(0)
		if err := engine.Prepare(t.Context(), pool, models...); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d questions, though all is there", n)
	}
	if _, err := pool.Exec(t.Context(), "drop index ledger.by_ordinal"); err != nil {
		t.Fatal(err)
	}
	if err := engine.Prepare(t.Context(), pool, models...); err != nil {
		t.Fatal(err)
	}
	var made bool
	if err := pool.QueryRow(t.Context(), "select to_regclass('ledger.by_ordinal') is not null").Scan(&made); err != nil || !made {
		t.Errorf("the index that is missing is not made again: %v", err)
	}
}

// questions counts what Postgres is asked.
type questions struct{ atomic.Int64 }

func (q *questions) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.Add(1)
	return ctx
}

func (q *questions) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
