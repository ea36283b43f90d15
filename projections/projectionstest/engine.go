// Package projectionstest is what tests of the engine and of the read models share: engines that react fast, and the events
// of a customer's life.
package projectionstest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/projections/engine"
)

// NewEngine builds an engine that reacts fast.
func NewEngine(tb testing.TB, pool *pgxpool.Pool, log engine.Source, read ...engine.Projection) *engine.Engine {
	tb.Helper()
	e, err := engine.New(engine.Config{
		Pool: pool, Source: log, Projections: read, Log: slog.New(slog.DiscardHandler),
		LeaseRetry: 20 * time.Millisecond, FaultPause: 20 * time.Millisecond, StopPause: 50 * time.Millisecond,
		Recheck: 20 * time.Millisecond,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// Run starts an engine; the returned function stops it and waits for it.
func Run(tb testing.TB, e *engine.Engine) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
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

// WaitFor waits until a read model has reached a position.
func WaitFor(tb testing.TB, pool *pgxpool.Pool, readModel string, position uint64) {
	tb.Helper()
	if err := engine.NewBarrier(pool, time.Minute).WaitFor(tb.Context(), readModel, position); err != nil {
		tb.Fatal(err)
	}
}

// Eventually waits until a condition holds.
func Eventually(tb testing.TB, what string, holds func() bool) {
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

// Status returns how a read model stands.
func Status(tb testing.TB, e *engine.Engine, name string) engine.Status {
	tb.Helper()
	statuses, err := e.Statuses(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range statuses {
		if s.Name == name {
			return s
		}
	}
	return engine.Status{}
}
