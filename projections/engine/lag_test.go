package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// TestLagIsMeasuredByOthers: a read model whose table somebody has locked says nothing of it; who asks from elsewhere sees how far
// it is behind, since when, and that nothing moves.
func TestLagIsMeasuredByOthers(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))
	elsewhere := projectionstest.NewEngine(t, pool, log)
	first := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...)
	projectionstest.WaitFor(t, pool, "ledger", first)
	projectionstest.Eventually(t, "being live", func() bool { return projectionstest.Status(t, elsewhere, "ledger").CaughtUp() })

	locked, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locked.Rollback(t.Context()) }()
	if _, err := locked.Exec(t.Context(), "lock table ledger.entries in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 448)...)
	projectionstest.Eventually(t, "the batch waiting for the lock", func() (waits bool) {
		if err := pool.QueryRow(t.Context(), `
			select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	status := func() engine.Status {
		t.Helper()
		statuses, err := elsewhere.StatusesNow(t.Context())
		if err != nil || len(statuses) != 1 {
			t.Fatalf("statuses = %v, %v", statuses, err)
		}
		return statuses[0]
	}
	oldest := log.All()[3].RecordedAt
	s := status()
	if s.State != engine.StateBehind || s.Lag != last-first || time.Duration(s.LagFor) > time.Since(oldest) ||
		time.Duration(s.LagFor) < time.Since(oldest)-time.Minute || !strings.Contains(s.Holder, "process") || s.HeldSince == nil {
		t.Errorf("behind a lock it is %+v", s)
	}
	before := s.PassedAgo
	projectionstest.Eventually(t, "the last pass growing older", func() bool { return status().PassedAgo > before })
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	projectionstest.WaitFor(t, pool, "ledger", last)
	wantAll(t, pool, 451)
	projectionstest.Eventually(t, "being live again", func() bool { return projectionstest.Status(t, elsewhere, "ledger").CaughtUp() })
	if s := status(); s.Lag != 0 || s.LagFor != 0 || s.Problem() != "" {
		t.Errorf("live it is %+v", s)
	}
}

// TestWhatDoesNotMoveIsStalled: a read model that is held, lacks events and has not passed for long is stalled, and a problem. On a
// quiet log the same is none: its holder passes whenever it finds itself at the end.
func TestWhatDoesNotMoveIsStalled(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	release := make(chan struct{})
	p := ledger(func(ctx context.Context, _ pgx.Tx, batch []domain.Recorded) error {
		if batch[0].Event.(domain.CheckCompleted).Ordinal > 1 {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return nil
	})
	e := projectionstest.NewEngine(t, pool, log, p)
	stop := projectionstest.Run(t, e)
	age := func() {
		t.Helper()
		if _, err := pool.Exec(t.Context(), "update projection_checkpoints set passed_at = now() - interval '11 s'"); err != nil {
			t.Fatal(err)
		}
	}
	projectionstest.WaitFor(t, pool, "ledger", log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch)))
	age()
	projectionstest.Eventually(t, "a pass that finds nothing to do", func() bool {
		s := projectionstest.Status(t, e, "ledger")
		return s.State == engine.StateLive && time.Duration(s.PassedAgo) < 10*time.Second && s.Problem() == ""
	})

	stop()
	e = projectionstest.NewEngine(t, pool, log, p)
	e.Recheck = time.Hour // nothing passes by itself
	projectionstest.Run(t, e)
	projectionstest.Eventually(t, "being live again", func() bool { return projectionstest.Status(t, e, "ledger").CaughtUp() })
	age()
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	projectionstest.Eventually(t, "stalling", func() bool { return projectionstest.Status(t, e, "ledger").State == engine.StateStalled })
	if problem := projectionstest.Status(t, e, "ledger").Problem(); !strings.Contains(problem, "ledger is stalled") {
		t.Errorf("the problem is %q", problem)
	}
	close(release)
	projectionstest.WaitFor(t, pool, "ledger", last)
	wantAll(t, pool, 2)
}

// TestProblem: what is a problem of a read model, and from when on.
func TestProblem(t *testing.T) {
	t.Parallel()
	const most = engine.Duration(30 * time.Second)
	for name, wanted := range map[string]struct {
		status engine.Status
		says   string
	}{
		"live":                  {engine.Status{Name: "usage", State: engine.StateLive}, ""},
		"behind for a moment":   {engine.Status{Name: "usage", State: engine.StateBehind, LagFor: most}, ""},
		"behind for long":       {engine.Status{Name: "usage", State: engine.StateBehind, LagFor: most + 1}, "usage is behind, 30s behind the log"},
		"nobody's and complete": {engine.Status{Name: "usage", State: engine.StateIdle}, ""},
		"nobody's and behind":   {engine.Status{Name: "usage", State: engine.StateIdle, LagFor: 2 * most}, "usage is idle, 1m0s behind the log"},
		"stalled":               {engine.Status{Name: "usage", State: engine.StateStalled}, "usage is stalled, 0s behind the log"},
		"failing":               {engine.Status{Name: "usage", State: engine.StateFailing, Error: "no room"}, "usage is failing, 0s behind the log: no room"},
		"stopped":               {engine.Status{Name: "usage", State: engine.StateStopped}, "usage is stopped, 0s behind the log"},
		"being built":           {engine.Status{Name: "usage__rebuild", State: engine.StateStopped, LagFor: 2 * most}, ""},
	} {
		if got := wanted.status.Problem(); got != wanted.says {
			t.Errorf("%s: %q, want %q", name, got, wanted.says)
		}
	}
}
