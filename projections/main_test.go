package projections_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/projections"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// database gives a migrated database of the test's own.
func database(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	url := pgtest.Clone(tb, "migrated", func(ctx context.Context, url string) error {
		pool, err := postgres.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		return postgres.Migrate(ctx, pool)
	})
	return connect(tb, url)
}

func connect(tb testing.TB, url string) *pgxpool.Pool {
	tb.Helper()
	pool, err := postgres.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// newEngine builds an engine that reacts fast.
func newEngine(tb testing.TB, pool *pgxpool.Pool, log projections.Source, read ...projections.Projection) *projections.Engine {
	tb.Helper()
	engine, err := projections.NewEngine(projections.Config{
		Pool: pool, Source: log, Projections: read, Log: slog.New(slog.DiscardHandler),
		LeaseRetry: 20 * time.Millisecond, FaultPause: 20 * time.Millisecond, StopPause: 50 * time.Millisecond,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return engine
}

// run starts an engine; the returned function stops it and waits for it.
func run(tb testing.TB, engine *projections.Engine) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("engine: %v", err)
		}
	}
	tb.Cleanup(stop)
	return stop
}

// waitFor waits until a read model has reached a position.
func waitFor(tb testing.TB, pool *pgxpool.Pool, readModel string, position uint64) {
	tb.Helper()
	if err := projections.NewBarrier(pool, time.Minute).WaitFor(tb.Context(), readModel, position); err != nil {
		tb.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			tb.Fatalf("%s did not happen", what)
		}
	}
}

// status gives how a read model stands.
func status(tb testing.TB, engine *projections.Engine, name string) projections.Status {
	tb.Helper()
	statuses, err := engine.Statuses(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range statuses {
		if s.Name == name {
			return s
		}
	}
	return projections.Status{}
}
