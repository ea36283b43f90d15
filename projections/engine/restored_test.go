package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// restore takes the ledger back to where it was after its nth entry, as a backup of the database would.
func restore(tb testing.TB, pool *pgxpool.Pool, n int) {
	tb.Helper()
	if _, err := pool.Exec(tb.Context(), `
		with gone as (delete from ledger.entries where position > $1 returning 1)
		update projection_checkpoints set position = $1, event_position = $1 where name = 'ledger'`, n*10); err != nil {
		tb.Fatal(err)
	}
}

// TestRestoredDatabase: a database that is restored to an earlier state while the engine runs has all its events again, whether
// one more comes or none.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]int{"and the log goes on": 5, "and nothing more happens": 0} {
		for place, n := range map[string]int{"to an earlier state": 50, "to the very beginning": 0} {
			t.Run(place+" "+name, func(t *testing.T) {
				t.Parallel()
				pool := pgtest.Pool(t)
				log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
				e := projectionstest.NewEngine(t, pool, log, ledger(nil))
				projectionstest.Run(t, e)
				last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 90)...)
				projectionstest.WaitFor(t, pool, "ledger", last)
				restore(t, pool, n)
				if next > 0 {
					last = log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, next)...)
				}
				projectionstest.Eventually(t, "having every event again", func() bool { return len(entries(t, pool)) == 90+next })
				wantAll(t, pool, 90+next)
				projectionstest.Eventually(t, "being live", func() bool {
					s := projectionstest.Status(t, e, "ledger")
					return s.CaughtUp() && s.Position == last && s.Lag == 0
				})
			})
		}
	}
}

// TestBarrierForgets: what a barrier has seen reached is not taken for granted once the database is restored.
func TestBarrierForgets(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	barrier := engine.NewBarrier(pool, time.Minute)
	maintained, err := engine.New(engine.Config{
		Pool: pool, Source: log, Projections: []engine.Projection{ledger(nil)}, Log: projectionstest.NewEngine(t, pool, log).Log, Barrier: barrier,
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := projectionstest.Run(t, maintained)
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 9)...)
	projectionstest.WaitFor(t, pool, "ledger", last)
	if err := barrier.WaitFor(t.Context(), "ledger", last); err != nil {
		t.Fatal(err)
	}
	stop()
	restore(t, pool, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := barrier.WaitFor(ctx, "ledger", last); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what the restored database does not show = %v", err)
	}
	if err := barrier.WaitFor(t.Context(), "ledger", 50); err != nil {
		t.Errorf("waiting for what it shows = %v", err)
	}
}

// TestCheckpointThatIsNoPlace: a read model whose checkpoint the log does not reach is not maintained, and says so, until it is
// rebuilt.
func TestCheckpointThatIsNoPlace(t *testing.T) {
	t.Parallel()
	for name, position := range map[string]int64{
		"beyond the end of the log": 51, "the largest number": 1<<63 - 1, "below every position": -2, "far below": -1 << 62,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Pool(t)
			log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
			last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 5)...)
			e := projectionstest.NewEngine(t, pool, log, ledger(nil))
			stop := projectionstest.Run(t, e)
			projectionstest.WaitFor(t, pool, "ledger", last)
			stop()
			if _, err := pool.Exec(t.Context(), "update projection_checkpoints set position = $1 where name = 'ledger'", position); err != nil {
				t.Fatal(err)
			}
			if err := engine.CheckLog(t.Context(), pool, log); !errors.Is(err, engine.ErrOtherLog) {
				t.Errorf("check = %v", err)
			}
			projectionstest.Run(t, e)
			projectionstest.Eventually(t, "saying so", func() bool {
				s := projectionstest.Status(t, e, "ledger")
				return s.State == engine.StateFailing && strings.Contains(s.Error, "liveness projections rebuild ledger")
			})
			if _, err := e.Compare(t.Context(), "ledger", nil); !errors.Is(err, engine.ErrOtherLog) {
				t.Errorf("compare = %v", err)
			}
			wantAll(t, pool, 5)
			if _, err := e.Rebuild(t.Context(), "ledger", nil); err != nil {
				t.Fatal(err)
			}
			last = log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
			projectionstest.Eventually(t, "being live", func() bool {
				s := projectionstest.Status(t, e, "ledger")
				return s.CaughtUp() && s.Position == last && s.Error == ""
			})
			wantAll(t, pool, 6)
		})
	}
}

// TestCompareOfWhatMissedEvents: a read model that has missed events which its checkpoint covers is not equal to what the log
// says, and one that has not come to the end of the log is not said to be.
func TestCompareOfWhatMissedEvents(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	e := projectionstest.NewEngine(t, pool, log, ledger(nil))
	stop := projectionstest.Run(t, e)
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 9)...)
	projectionstest.WaitFor(t, pool, "ledger", last)
	stop()
	if comparison, err := e.Compare(t.Context(), "ledger", nil); err != nil || !comparison.Equal() || comparison.Behind() {
		t.Errorf("nobody maintains it, and it shows everything: %+v, %v", comparison, err)
	}
	if _, err := pool.Exec(t.Context(), `
		with gone as (delete from ledger.entries where position > 50 returning 1)
		update projection_checkpoints set event_position = 50 where name = 'ledger'`); err != nil {
		t.Fatal(err)
	}
	if comparison, err := e.Compare(t.Context(), "ledger", nil); err != nil || comparison.Equal() {
		t.Errorf("its checkpoint covers events that it does not show: %+v, %v", comparison, err)
	}
	restore(t, pool, 5)
	if comparison, err := e.Compare(t.Context(), "ledger", nil); err != nil || !comparison.Behind() || comparison.Position != 50 || comparison.Head != 90 {
		t.Errorf("it has not come to the end of the log: %+v, %v", comparison, err)
	}
	projectionstest.Run(t, e)
	projectionstest.Eventually(t, "being live", func() bool { return projectionstest.Status(t, e, "ledger").CaughtUp() })
	log.Append(domain.LoginsStream(c.ID), domain.LoginSucceeded{CustomerID: c.ID}) // the log ends with an event that it does not follow
	if comparison, err := e.Compare(t.Context(), "ledger", nil); err != nil || !comparison.Equal() || comparison.Behind() {
		t.Errorf("it has every event again: %+v, %v", comparison, err)
	}
}

// A worker may be replaced while somebody compares.
func TestWhoComparesWaitsForTheNextWorker(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	grow := func() uint64 { return log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...) }
	stop := projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))
	projectionstest.WaitFor(t, pool, "ledger", grow())
	stop()
	grow()
	begin := sync.OnceFunc(func() { projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil))) })
	comparing := projectionstest.NewEngine(t, pool, askedLog{log, begin}, ledger(nil))
	if comparison, err := comparing.Compare(t.Context(), "ledger", nil); err != nil || comparison.Behind() || !comparison.Equal() {
		t.Errorf("while the next worker begins: %+v, %v", comparison, err)
	}
}

// claiming is a log that says it has caught up at a position without having delivered what is behind it.
type claiming struct {
	*memorylog.Log
	position uint64
}

// Subscriber implements engine.Source.
func (c claiming) Subscriber(name string, eventTypes []string, from func(context.Context) (engine.Place, error)) message.Subscriber {
	return claimingSubscriber{c, c.Log.Subscriber(name, eventTypes, from)}
}

type claimingSubscriber struct {
	claiming
	message.Subscriber
}

// Subscribe implements message.Subscriber.
func (c claimingSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	messages, err := c.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	cut := make(chan *message.Message)
	go func() {
		defer close(cut)
		for msg := range messages {
			batch, _ := engine.BatchOf(msg)
			batch.Events = slices.DeleteFunc(slices.Clone(batch.Events), func(r domain.Recorded) bool { return r.Position > c.position })
			batch.Position, batch.CaughtUp = min(batch.Position, c.position), true
			engine.WithBatch(msg, batch)
			select {
			case cut <- msg:
			case <-ctx.Done():
			}
		}
	}()
	return cut, nil
}

// TestRebuildDoesNotGoBack: a build of the same version that is not told of an event which the running one shows is not swapped
// in, however long it has had nothing to do.
func TestRebuildDoesNotGoBack(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	e := projectionstest.NewEngine(t, pool, log, ledger(nil))
	stop := projectionstest.Run(t, e)
	last := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 9)...)
	projectionstest.WaitFor(t, pool, "ledger", last)
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	behind := projectionstest.NewEngine(t, pool, claiming{log, 40}, ledger(nil))
	if _, err := behind.Rebuild(ctx, "ledger", nil); err == nil {
		t.Error("what is behind the running one was swapped in")
	}
	wantAll(t, pool, 9)
	wantNoLeftovers(t, pool)
}
