package console_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

func TestWaitsDouble(t *testing.T) {
	t.Parallel()
	limit := console.AttemptLimit{Free: 3, Base: time.Second, Max: 6 * time.Second, Window: time.Minute}
	var waits []time.Duration
	for n := 1; n <= 8; n++ {
		waits = append(waits, limit.Wait(n)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{0, 0, 1, 2, 4, 6, 6, 6}, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLimiterCountsAttempts(t *testing.T) {
	t.Parallel()
	limiter := console.NewPostgresAttempts(consoletest.Database(t))
	ctx := t.Context()
	take := func(subject string, limit console.AttemptLimit) time.Duration {
		t.Helper()
		wait, err := limiter.Take(ctx, subject, limit)
		consoletest.Must(t, err)
		return wait
	}
	strict := console.AttemptLimit{Free: 2, Base: time.Hour, Max: 4 * time.Hour, Window: 8 * time.Hour}
	for n, waits := range []bool{false, false, true, true} {
		if wait := take("one", strict); (wait > 0) != waits || wait > time.Hour {
			t.Errorf("attempt %d waits %v", n+1, wait)
		}
	}
	if wait := take("another", strict); wait != 0 {
		t.Errorf("somebody else waits %v", wait)
	}
	consoletest.Must(t, limiter.Refund(ctx, "one"))
	if wait := take("one", strict); wait != 0 {
		t.Errorf("an attempt given back still waits %v", wait)
	}
	consoletest.Must(t, limiter.Reset(ctx, "one"))
	for range 2 {
		if wait := take("one", strict); wait != 0 {
			t.Errorf("forgotten attempts still wait %v", wait)
		}
	}

	short := console.AttemptLimit{Free: 1, Base: 20 * time.Millisecond, Max: 20 * time.Millisecond, Window: 30 * time.Millisecond}
	if wait := take("patient", short); wait != 0 {
		t.Errorf("the first attempt waits %v", wait)
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for take("patient", short) > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatal("waiting never ends")
		}
	}
}

func TestLimiterOnManyNodes(t *testing.T) {
	t.Parallel()
	pool := consoletest.Database(t)
	limit := console.AttemptLimit{Free: 3, Base: time.Hour, Max: time.Hour, Window: 2 * time.Hour}
	var let atomic.Int32
	var nodes sync.WaitGroup
	for range 12 {
		nodes.Go(func() {
			if wait, err := console.NewPostgresAttempts(pool).Take(t.Context(), "guesser", limit); err == nil && wait == 0 {
				let.Add(1)
			}
		})
	}
	nodes.Wait()
	if let.Load() != 3 {
		t.Errorf("%d attempts at once were let through, want 3", let.Load())
	}
}
