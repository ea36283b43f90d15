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

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// load appends to a log until it is stopped.
func load(log *memorylog.Log, one func(n int)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ctx.Err() == nil && n < 20_000; n++ {
			one(n)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// TestRebuildUnderLoad: while checks are counted and keys regenerated, every read model is rebuilt and swapped. No answer
// is ever wrong or missing, and nothing is lost.
func TestRebuildUnderLoad(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := projectionstest.Life(t)
	e := projectionstest.NewEngine(t, pool, log, projections.All()...)
	projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "api_keys", uint64(len(log.All()))*10)
	barrier := engine.NewBarrier(pool, time.Minute)
	keys := projections.NewAPIKeys(pool)
	alive := "d"
	stop := load(log, func(n int) {
		log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
		if n%5 != 0 {
			return
		}
		dead := alive
		alive = fmt.Sprintf("key %d", n)
		position := log.Append(domain.APIKeysStream(c.ID), c.Regenerated(domain.SlotPrimary, dead, alive))
		if err := barrier.WaitFor(t.Context(), "api_keys", position); err != nil {
			t.Errorf("wait: %v", err)
		}
		for hash, want := range map[string]bool{dead: false, alive: true} {
			if _, by, err := keys.FindKey(t.Context(), []string{hash}); err != nil || (by != "") != want {
				t.Errorf("key %q found by %q (%v), want it found: %v", hash, by, err, want)
			}
		}
	})
	rebuild := func(p engine.Projection) {
		comparison, err := e.Rebuild(t.Context(), p.Name, nil)
		if err != nil || !comparison.Equal() || len(comparison.Tables) == 0 {
			t.Errorf("rebuild %s: %v, %+v", p.Name, err, comparison)
		}
	}
	for _, p := range projections.All() {
		rebuild(p)
	}
	sideBySide(projections.All(), rebuild)
	stop()
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	projectionstest.WaitFor(t, pool, "usage", last)
	month, err := projections.NewUsage(pool).Month(t.Context(), c.Subscription, domain.MonthOf(memorylog.Epoch))
	if err != nil || month.Counted() != c.Counted[month.Month] {
		t.Errorf("counted %d, shown %d, %v", c.Counted[month.Month], month.Counted(), err)
	}
	sideBySide(projections.All(), func(p engine.Projection) {
		comparison, err := e.Compare(t.Context(), p.Name, nil)
		if err != nil || !comparison.Equal() {
			t.Errorf("compare %s: %v, %+v", p.Name, err, comparison)
		}
	})
	wantNoLeftovers(t, pool)
}

// sideBySide does something with each read model, four at a time.
func sideBySide(all []engine.Projection, do func(engine.Projection)) {
	var four errgroup.Group
	four.SetLimit(4)
	for _, p := range all {
		four.Go(func() error {
			do(p)
			return nil
		})
	}
	_ = four.Wait()
}

func wantNoLeftovers(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	projectionstest.Eventually(t, "dropping what rebuilding made", func() bool {
		var leftovers int
		if err := pool.QueryRow(t.Context(), `
			select (select count(*) from information_schema.schemata where schema_name like '%\_\_%')
				+ (select count(*) from projection_checkpoints where name like '%\_\_%')`).Scan(&leftovers); err != nil {
			t.Fatal(err)
		}
		return leftovers == 0
	})
}

// TestCompareFindsDifferences: a single wrong value is found, and a rebuild puts it right.
func TestCompareFindsDifferences(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := projectionstest.Life(t)
	e := projectionstest.NewEngine(t, pool, log, projections.UsageProjection())
	stop := projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "usage", log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch)))
	stop() // nobody maintains it now; comparing does not need that
	if _, err := pool.Exec(t.Context(), "update usage.checks set brightness = brightness + 0.001 where ordinal = 500"); err != nil {
		t.Fatal(err)
	}
	told := false
	comparison, err := e.Compare(t.Context(), "usage", func(p engine.Progress) { told = told || p.Head > 0 })
	if err != nil || comparison.Equal() || !told {
		t.Errorf("compare = %+v, %v; progress told: %v", comparison, err, told)
	}
	for _, table := range comparison.Tables {
		if table.Equal() == (table.Table == "checks") || table.Running.Rows != table.Rebuilt.Rows {
			t.Errorf("%+v", table)
		}
	}
	if comparison, err = e.Rebuild(t.Context(), "usage", nil); err != nil || comparison.Equal() {
		t.Errorf("rebuild = %+v, %v", comparison, err)
	}
	if comparison, err = e.Compare(t.Context(), "usage", nil); err != nil || !comparison.Equal() {
		t.Errorf("compare after the rebuild = %+v, %v", comparison, err)
	}
	wantNoLeftovers(t, pool)
}

// TestNewVersion: a node with a newer program builds its tables beside those that a node with the older one maintains, and
// swaps them; the older one stands by from then on.
func TestNewVersion(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	old := ledger(nil)
	older := projectionstest.NewEngine(t, pool, log, old)
	projectionstest.Run(t, older)
	projectionstest.WaitFor(t, pool, "ledger", log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 200)...))

	stop := load(log, func(int) {
		if err := engine.NewBarrier(pool, time.Minute).WaitFor(t.Context(), "ledger", log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))); err != nil {
			t.Error(err)
		}
	})
	newer := old
	newer.Version = 2
	newer.Tables = "create table entries (position bigint primary key, ordinal bigint not null, added text not null default 'new')"
	newEngines := []*engine.Engine{projectionstest.NewEngine(t, pool, log, newer), projectionstest.NewEngine(t, pool, log, newer)}
	for _, e := range newEngines {
		projectionstest.Run(t, e)
	}
	projectionstest.Eventually(t, "the swap", func() bool { return projectionstest.Status(t, newEngines[0], "ledger").Version == 2 })
	projectionstest.Eventually(t, "the newer program maintaining it", func() bool { return projectionstest.Status(t, newEngines[0], "ledger").CaughtUp() })
	stop()
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	projectionstest.WaitFor(t, pool, "ledger", last)
	wantAll(t, pool, int(last/10))
	if _, err := pool.Exec(t.Context(), "select added from ledger.entries"); err != nil {
		t.Error(err)
	}
	if _, err := older.Rebuild(t.Context(), "ledger", nil); err == nil {
		t.Error("an older program rebuilt what a newer one maintains")
	}
	wantNoLeftovers(t, pool)
}

// Where nobody maintains the running read model, as after a restore, its rebuild does not wait for it.
func TestRebuildWaitsForNobody(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	head := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...)
	e := projectionstest.NewEngine(t, pool, log, ledger(nil))
	if err := engine.Prepare(t.Context(), pool, ledger(nil)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // less than it waits for a worker
	defer cancel()
	if comparison, err := e.Rebuild(ctx, "ledger", nil); err != nil || comparison.Head != head {
		t.Errorf("%+v, %v", comparison, err)
	}
	wantAll(t, pool, 3)
}

// TestRebuildWhoseLastAnswerIsLost: a build whose last batch was committed, though the connection died before it heard so, goes on
// while nobody appends.
func TestRebuildWhoseLastAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, maintained := range map[string]bool{"while it is compared": true, "when it is to be swapped in": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
			head := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...)
			if err := engine.Prepare(t.Context(), pool, ledger(nil)); err != nil {
				t.Fatal(err)
			}
			if maintained {
				projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))
				projectionstest.WaitFor(t, pool, "ledger", head)
			}
			lost := false
			e := projectionstest.NewEngine(t, pool, log, ledger(func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
				if lost || batch[len(batch)-1].Position < head {
					return nil
				}
				lost = true
				_, err := tx.Exec(ctx, "commit")
				return errors.Join(errors.New("the answer is lost"), err)
			}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := e.Rebuild(ctx, "ledger", nil); err != nil || !lost {
				t.Errorf("rebuild = %v; an answer was lost: %v", err, lost)
			}
			wantAll(t, pool, 3)
		})
	}
}

// TestRebuildStopsAtAnEventToSkip: a rebuild by hand that stops at an event which the running read model had applied before it was
// damaged can be led past it like that one could. A comparison leaves nothing behind.
func TestRebuildStopsAtAnEventToSkip(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	const bad = 37
	var damaged atomic.Bool
	e := projectionstest.NewEngine(t, pool, log, ledger(func(_ context.Context, _ pgx.Tx, batch []domain.Recorded) error {
		for _, r := range batch {
			if damaged.Load() && r.Event.(domain.CheckCompleted).Ordinal == bad {
				return engine.ErrPoisonous
			}
		}
		return nil
	}))
	projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "ledger", log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 90)...))
	damaged.Store(true)
	poison := log.All()[bad-1]
	if _, err := e.Compare(t.Context(), "ledger", nil); err == nil {
		t.Error("an event was compared that cannot be applied")
	}
	wantNoLeftovers(t, pool)
	for range 2 { // the second begins anew
		if _, err := e.Rebuild(t.Context(), "ledger", nil); err == nil || !strings.Contains(err.Error(), fmt.Sprint("position ", poison.Position)) {
			t.Errorf("rebuild = %v; want it to stop and to say where", err)
		}
	}
	wantAll(t, pool, 90)
	if s := projectionstest.Status(t, e, "ledger"); !s.CaughtUp() {
		t.Errorf("the running one is %+v", s)
	}
	skip, err := e.ToSkip(t.Context(), "ledger", poison.Position)
	if err != nil || skip.EventID != poison.ID {
		t.Fatalf("to skip: %+v, %v", skip, err)
	}
	projectionstest.WaitFor(t, pool, "ledger", log.Append(domain.ProjectionStream("ledger"), skipOf("ledger", poison)))
	comparison, err := e.Rebuild(t.Context(), "ledger", nil)
	if err != nil || comparison.Equal() || comparison.Tables[0].Running.Rows != 90 || comparison.Tables[0].Rebuilt.Rows != 89 {
		t.Errorf("rebuild = %+v, %v; want it to differ by the event skipped", comparison, err)
	}
	if s := projectionstest.Status(t, e, "ledger"); s.Skipped != 1 {
		t.Errorf("status = %+v", s)
	}
	wantNoLeftovers(t, pool)
}

// TestInterruptedRebuild: a rebuild that is interrupted leaves the running read model as it was.
func TestInterruptedRebuild(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	e := projectionstest.NewEngine(t, pool, log, ledger(nil))
	projectionstest.Run(t, e)
	projectionstest.WaitFor(t, pool, "ledger", log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 500)...))
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := e.Rebuild(ctx, "ledger", func(p engine.Progress) {
		if p.Position > 1000 {
			cancel()
		}
	}); err == nil {
		t.Error("a rebuild that was cut off reports success")
	}
	wantAll(t, pool, 500)
	wantNoLeftovers(t, pool)
	if _, err := e.Rebuild(t.Context(), "nonsense", nil); err == nil {
		t.Error("an unknown read model was rebuilt")
	}
}
