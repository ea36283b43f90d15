package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// ledger is a read model that shows every fault: an event applied twice breaks its primary key, one left out is a gap.
func ledger(before func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error) engine.Projection {
	return engine.Projection{
		Name: "ledger", Version: 1, StopsOnPoison: true,
		Tables: "create table entries (position bigint primary key, ordinal bigint not null)",
		Events: []string{domain.CheckCompleted{}.EventType()},
		Apply: func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
			for _, r := range batch {
				if _, err := tx.Exec(ctx, "insert into entries values ($1, $2)", r.Position, r.Event.(domain.CheckCompleted).Ordinal); err != nil {
					return err
				}
			}
			if before != nil {
				return before(ctx, tx, batch) // between applying and committing
			}
			return nil
		},
	}
}

// entries returns the ordinals of the ledger in the order of the log.
func entries(tb testing.TB, pool *pgxpool.Pool) []int64 {
	tb.Helper()
	rows, _ := pool.Query(tb.Context(), "select ordinal from ledger.entries order by position")
	got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// wantAll fails unless the ledger has the entries 1 to n, once each.
func wantAll(tb testing.TB, pool *pgxpool.Pool, n int) {
	tb.Helper()
	want := make([]int64, n)
	for i := range want {
		want[i] = int64(i + 1)
	}
	if diff := cmp.Diff(want, entries(tb, pool)); diff != "" {
		tb.Errorf("entries are missing or doubled: %s", diff)
	}
}

func TestEngineFollowsTheLog(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := projectionstest.Life(t)
	e := projectionstest.NewEngine(t, pool, log, projections.All()...)
	stop := projectionstest.Run(t, e)
	key := log.Append(domain.APIKeysStream(c.ID), c.Regenerated(domain.SlotSecondary, "b", "e"))
	projectionstest.WaitFor(t, pool, "api_keys", key)
	if _, by, err := projections.NewAPIKeys(pool).FindKey(t.Context(), []string{"b"}); by != "" || err != nil {
		t.Errorf("the old key is alive after its read model passed the regeneration: %q, %v", by, err)
	}
	head, _ := log.Head(t.Context())
	for _, p := range projections.All() {
		projectionstest.WaitFor(t, pool, p.Name, head)
		if s := projectionstest.Status(t, e, p.Name); !s.CaughtUp() || s.Lag != 0 || s.Parked != 0 || s.Position != head {
			t.Errorf("status = %+v", s)
		}
	}
	stop()
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch.Add(time.Hour), 3)...)
	if s := projectionstest.Status(t, e, "usage"); s.State != engine.StateIdle || s.Lag != 30 || s.LagFor <= 0 {
		t.Errorf("status when nobody maintains it = %+v", s)
	}
}

// TestCrashBetweenApplyAndCommit: whatever a batch had written when its connection broke or its runner was stopped is
// written again, once.
func TestCrashBetweenApplyAndCommit(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.BatchSize = 10
	var breaks atomic.Int32
	p := ledger(func(ctx context.Context, tx pgx.Tx, _ []domain.Recorded) error {
		if breaks.Add(1)%3 == 1 {
			_, err := tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
			return err
		}
		return nil
	})
	e := projectionstest.NewEngine(t, pool, log, p)
	var last uint64
	for range 5 {
		stop := projectionstest.Run(t, e)
		last = log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 20)...)
		projectionstest.Eventually(t, "a batch", func() bool { return projectionstest.Status(t, e, "ledger").Position > 0 })
		stop() // wherever it is
	}
	projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "ledger", last)
	wantAll(t, pool, 100)
	if breaks.Load() < 3 {
		t.Errorf("the connection broke in %d of the batches", breaks.Load())
	}
}

// TestTwoRunners: one of two nodes maintains a read model. When its lease breaks away in the middle of a batch the other
// takes over, and the batch counts once.
func TestTwoRunners(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.BatchSize = 10
	var once sync.Once
	var broken atomic.Bool
	p := ledger(func(ctx context.Context, _ pgx.Tx, _ []domain.Recorded) error {
		var err error
		once.Do(func() {
			defer broken.Store(true)
			_, err = pool.Exec(ctx, "select pg_terminate_backend(backend) from leases")
		})
		return err
	})
	stopFirst := projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, p))
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 20)...)
	projectionstest.Eventually(t, "the lease of the first runner breaking", broken.Load)
	second := projectionstest.NewEngine(t, pool, log, p)
	projectionstest.Run(t, second)
	for range 20 {
		log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 10)...)
	}
	stopFirst()
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 10)...)
	projectionstest.WaitFor(t, pool, "ledger", last)
	wantAll(t, pool, int(last/10))
	projectionstest.Eventually(t, "the second runner being live", func() bool { return projectionstest.Status(t, second, "ledger").CaughtUp() })
}

// TestRunnersWithoutLease: the checkpoint alone keeps two runners from doubling anything.
func TestRunnersWithoutLease(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.BatchSize = 3
	p := ledger(nil)
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var runners sync.WaitGroup
	for range 3 {
		e := projectionstest.NewEngine(t, pool, log, p)
		runners.Go(func() { _ = engine.RunUnleased(ctx, e, p) })
	}
	var last uint64
	for range 50 {
		last = log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 5)...)
	}
	projectionstest.WaitFor(t, pool, "ledger", last)
	cancel()
	runners.Wait()
	wantAll(t, pool, 250)
}

// TestPoison: an event that cannot be applied stops a read model or is parked; every other event of its batch is applied.
func TestPoison(t *testing.T) {
	t.Parallel()
	faults := map[string]func(ctx context.Context, tx pgx.Tx) error{
		"panic":          func(context.Context, pgx.Tx) error { panic("boom") },
		"data exception": func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Exec(ctx, "select 1/0"); return err },
		"marked":         func(context.Context, pgx.Tx) error { return fmt.Errorf("bad: %w", engine.ErrPoisonous) },
	}
	const bad = 37
	for name, fault := range faults {
		for _, stops := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, stops %v", name, stops), func(t *testing.T) {
				t.Parallel()
				pool := pgtest.Pool(t)
				log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
				var repaired atomic.Bool
				p := ledger(func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
					for _, r := range batch {
						if r.Event.(domain.CheckCompleted).Ordinal == bad && !repaired.Load() {
							return fault(ctx, tx)
						}
					}
					return nil
				})
				p.StopsOnPoison = stops
				e := projectionstest.NewEngine(t, pool, log, p)
				projectionstest.Run(t, e)
				last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 90)...)
				if !stops {
					projectionstest.WaitFor(t, pool, "ledger", last)
					if s := projectionstest.Status(t, e, "ledger"); s.Parked != 1 {
						t.Errorf("status = %+v", s)
					}
					if got := entries(t, pool); len(got) != 89 || got[bad-2] != bad-1 || got[bad-1] != bad+1 {
						t.Errorf("all but %d should be there: %v", bad, got)
					}
					return
				}
				projectionstest.Eventually(t, "stopping", func() bool { return projectionstest.Status(t, e, "ledger").State == engine.StateStopped })
				if s := projectionstest.Status(t, e, "ledger"); s.Error == "" || s.Position != (bad-1)*10 {
					t.Errorf("status = %+v", s)
				}
				wantAll(t, pool, bad-1)
				repaired.Store(true)
				projectionstest.WaitFor(t, pool, "ledger", last)
				wantAll(t, pool, 90)
				if s := projectionstest.Status(t, e, "ledger"); s.Error != "" || s.Parked != 0 {
					t.Errorf("status after the repair = %+v", s)
				}
			})
		}
	}
}

// TestUndecodableEvent: an event of an unknown version is poisonous, also for read models that would not look at it.
func TestUndecodableEvent(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	key := c.Issued(domain.SlotPrimary, "a")
	log.Append(domain.APIKeysStream(c.ID), key)
	last := log.Append(domain.APIKeysStream(c.ID), engine.Undecodable{Type: key.EventType(), Err: domain.ErrUnknownEvent})
	e := projectionstest.NewEngine(t, pool, log, projections.All()...)
	projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "activity", last)
	if s := projectionstest.Status(t, e, "activity"); s.Parked != 1 {
		t.Errorf("activity = %+v", s)
	}
	projectionstest.Eventually(t, "stopping", func() bool { return projectionstest.Status(t, e, "api_keys").State == engine.StateStopped })
	if _, by, err := projections.NewAPIKeys(pool).FindKey(t.Context(), []string{"a"}); by == "" || err != nil {
		t.Errorf("what came before is not served: %v, %v", by, err)
	}
}

// TestForeignEventsArePassedOver: a source that delivers an event of another program neither stops a read model nor makes it
// show anything.
func TestForeignEventsArePassedOver(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.Append("crm-1", engine.Undecodable{Type: "CheckCompleted", Err: domain.ErrUnknownEvent})
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 2)...)
	other := projectionstest.NewCustomer(t, 2)
	log.Append("crm-1", other.Check(memorylog.Epoch), engine.Undecodable{Type: "CheckCompleted", Err: domain.ErrUnknownEvent})
	last := log.Append("crm-1", engine.Undecodable{Type: "CheckCompleted", Err: domain.ErrUnknownEvent})
	for _, stops := range []bool{true, false} {
		p := ledger(nil)
		p.StopsOnPoison = stops
		if !stops {
			p.Name = "other"
		}
		e := projectionstest.NewEngine(t, pool, log, p)
		stop := projectionstest.Run(t, e)
		projectionstest.WaitFor(t, pool, p.Name, last)
		if s := projectionstest.Status(t, e, p.Name); !s.CaughtUp() || s.Parked != 0 || s.Error != "" {
			t.Errorf("status = %+v", s)
		}
		stop()
	}
	wantAll(t, pool, 2)
}

// skipOf is what an operator's decision to skip an event of the log is recorded as.
func skipOf(readModel string, bad domain.Recorded) domain.Event {
	return domain.ProjectionSkipped{
		ReadModel: readModel, EventID: bad.ID, Position: bad.Position, Stream: bad.Stream, Revision: bad.Revision, Type: bad.Event.EventType(), Why: "a test",
	}
}

// TestSkip: a read model that is stopped goes past the event once an operator says so, and so does every later build of it, in
// whatever database. Nothing else can be skipped.
func TestSkip(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	const bad = 37
	p := ledger(func(_ context.Context, _ pgx.Tx, batch []domain.Recorded) error {
		for _, r := range batch {
			if r.Event.(domain.CheckCompleted).Ordinal == bad {
				return engine.ErrPoisonous
			}
		}
		return nil
	})
	e := projectionstest.NewEngine(t, pool, log, p)
	projectionstest.Run(t, e)
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 90)...)
	projectionstest.Eventually(t, "stopping", func() bool { return projectionstest.Status(t, e, "ledger").State == engine.StateStopped })

	poison := log.All()[bad-1]
	want := engine.StoppedEvent{Position: poison.Position, Stream: poison.Stream, Revision: poison.Revision, EventID: poison.ID, Type: "CheckCompleted"}
	if s := projectionstest.Status(t, e, "ledger"); s.StoppedAt == nil || *s.StoppedAt != want {
		t.Errorf("stopped at %+v, want %+v", s.StoppedAt, want)
	}
	for name, refused := range map[string]struct {
		readModel string
		position  uint64
		says      string
	}{
		"an unknown read model": {"nonsense", poison.Position, "ledger"},
		"another position":      {"ledger", poison.Position + 10, "stopped at position 370, not at 380"},
		"no position":           {"ledger", 0, "stopped at position 370"},
	} {
		if _, err := e.ToSkip(t.Context(), refused.readModel, refused.position); err == nil || !strings.Contains(err.Error(), refused.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	skip, err := e.ToSkip(t.Context(), "ledger", poison.Position)
	if err != nil || skip.EventID != poison.ID || skip.ReadModel != "ledger" {
		t.Fatalf("to skip: %+v, %v", skip, err)
	}

	log.Append(domain.ProjectionStream("another"), skipOf("another", log.All()[0])) // nobody else's decision
	last := log.Append(domain.ProjectionStream("ledger"), skipOf("ledger", poison))
	wantSkipped := func(pool *pgxpool.Pool, e *engine.Engine) {
		t.Helper()
		projectionstest.WaitFor(t, pool, "ledger", last)
		if got := entries(t, pool); len(got) != 89 || got[bad-2] != bad-1 || got[bad-1] != bad+1 {
			t.Errorf("all but %d should be there: %v", bad, got)
		}
		if s := projectionstest.Status(t, e, "ledger"); s.Skipped != 1 || s.Parked != 0 || s.StoppedAt != nil || s.Error != "" {
			t.Errorf("status = %+v", s)
		}
		skipped, err := e.Skipped(t.Context(), "ledger", 10)
		if err != nil || len(skipped) != 1 || skipped[0].Position != poison.Position || skipped[0].Why != "a test" || skipped[0].SkippedBy == "" {
			t.Errorf("skipped = %+v, %v", skipped, err)
		}
	}
	wantSkipped(pool, e)
	if _, err := e.ToSkip(t.Context(), "ledger", poison.Position); err == nil || !strings.Contains(err.Error(), "not stopped") {
		t.Errorf("skipping what is skipped already: %v", err)
	}
	if comparison, err := e.Compare(t.Context(), "ledger", nil); err != nil || !comparison.Equal() {
		t.Errorf("compare = %+v, %v", comparison, err)
	}
	if comparison, err := e.Rebuild(t.Context(), "ledger", nil); err != nil || !comparison.Equal() {
		t.Errorf("rebuild = %+v, %v", comparison, err)
	}
	wantSkipped(pool, e)
	if parked, err := e.Parked(t.Context(), "ledger", 10); err != nil || len(parked) != 0 {
		t.Errorf("parked = %+v, %v", parked, err)
	}
	elsewhere := pgtest.Pool(t)
	another := projectionstest.NewEngine(t, elsewhere, log, p)
	projectionstest.Run(t, another)
	wantSkipped(elsewhere, another)
}

// TestFailuresOfTheSurroundingsAreNoPoison: however long they last, nothing is parked, skipped or stopped for good.
func TestFailuresOfTheSurroundingsAreNoPoison(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	var attempts atomic.Int32
	var repaired atomic.Bool
	p := ledger(func(ctx context.Context, tx pgx.Tx, _ []domain.Recorded) error {
		if repaired.Load() {
			return nil
		}
		if attempts.Add(1)%2 == 0 {
			return errors.New("something nobody has thought of")
		}
		_, err := tx.Exec(ctx, "select * from a_table_that_is_gone")
		return err
	})
	p.StopsOnPoison = false
	e := projectionstest.NewEngine(t, pool, log, p)
	projectionstest.Run(t, e)
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 5)...)
	projectionstest.Eventually(t, "giving up once", func() bool { return projectionstest.Status(t, e, "ledger").State == engine.StateFailing })
	repaired.Store(true)
	projectionstest.WaitFor(t, pool, "ledger", last)
	wantAll(t, pool, 5)
	if s := projectionstest.Status(t, e, "ledger"); s.Parked != 0 || s.Error != "" {
		t.Errorf("status = %+v", s)
	}
}

// TestMiddlewareOrder: retrying is inside the isolation of poison and outside the recovery of panics. A passing failure is
// tried again before anything is judged by it, the message is not given back for it, and the halves of a batch that holds
// poison are retried like the batch was.
func TestMiddlewareOrder(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	var calls atomic.Int32
	p := ledger(func(_ context.Context, _ pgx.Tx, batch []domain.Recorded) error {
		if calls.Add(1)%2 == 1 {
			return errors.New("passing failure") // every other attempt, whatever the batch
		}
		for _, r := range batch {
			if r.Event.(domain.CheckCompleted).Ordinal == 3 {
				panic("poison")
			}
		}
		return nil
	})
	p.StopsOnPoison = false
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 4)...)
	e := projectionstest.NewEngine(t, pool, log, p)
	projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "ledger", last)
	if got := entries(t, pool); !cmp.Equal(got, []int64{1, 2, 4}) {
		t.Errorf("entries = %v", got)
	}
	if nacks := log.Nacks.Load(); nacks != 0 {
		t.Errorf("the batch was given back %d times", nacks)
	}
	// The batch of 4, its halves of 2, and the two events of the second half: each fails once in passing.
	if got := calls.Load(); got != 10 {
		t.Errorf("applied %d times", got)
	}
	parked, err := e.Parked(t.Context(), "ledger", 10)
	if err != nil || len(parked) != 1 || parked[0].Position != 30 || parked[0].Revision != 2 || parked[0].Error != "panic: poison" {
		t.Errorf("parked = %+v, %v", parked, err)
	}
}

func TestBarrier(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	p := ledger(nil)
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	position := log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	hasty := engine.NewBarrier(pool, 30*time.Millisecond)
	if err := hasty.WaitFor(t.Context(), "ledger", position); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what nobody maintains = %v", err)
	}
	locked, err := pool.Begin(t.Context())
	if err == nil {
		_, err = locked.Exec(t.Context(), "lock table projection_checkpoints")
	}
	if err != nil {
		t.Fatal(err)
	}
	err = engine.NewBarrier(pool, time.Second).WaitFor(t.Context(), "ledger", 0)
	if err == nil || errors.Is(err, engine.ErrBehind) {
		t.Errorf("waiting while Postgres does not answer = %v", err)
	}
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	patient := engine.NewBarrier(pool, time.Minute)
	if err := patient.WaitFor(ctx, "ledger", position); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with an ended context = %v", err)
	}
	var waiting sync.WaitGroup
	for n := range 50 {
		waiting.Go(func() {
			if err := patient.WaitFor(t.Context(), "ledger", position*uint64(1+n%2)); err != nil {
				t.Error(err)
			}
		})
	}
	projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, p)) // in "another process": nothing tells the barrier
	log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	waiting.Wait()
}
