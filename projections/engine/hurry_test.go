package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// hurriedLog counts how often it is asked to hurry.
type hurriedLog struct {
	*memorylog.Log
	hurried atomic.Int64
}

func (l *hurriedLog) Hurry() { l.hurried.Add(1) }

// TestWhoWaitsIsHeard: whoever waits for a read model, on whichever node, is heard where it is maintained, again and again; who
// waits for nothing that is to come asks nobody.
func TestWhoWaitsIsHeard(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := &hurriedLog{Log: memorylog.New()}, projectionstest.NewCustomer(t, 1)
	projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 9)...)
	projectionstest.WaitFor(t, pool, "ledger", last)
	projectionstest.Eventually(t, "somebody listening", func() bool { return log.hurried.Load() > 0 })

	elsewhere := engine.NewBarrier(pool, time.Minute)
	heard := log.hurried.Load()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- elsewhere.WaitFor(ctx, "ledger", last+1) }()
	projectionstest.Eventually(t, "being heard more than once", func() bool { return log.hurried.Load() >= heard+2 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for what does not come: %v", err)
	}
}
