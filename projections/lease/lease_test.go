package lease_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/projections/lease"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// session keeps watch over a session until the test ends.
func session(t *testing.T, pool *pgxpool.Pool) *lease.Session {
	t.Helper()
	s := lease.NewSession(pool, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.Watch(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-watched
		s.Close(ctx)
	})
	return s
}

func held(t *testing.T, pool *pgxpool.Pool, name string) bool {
	t.Helper()
	isHeld, err := lease.Held(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return isHeld(name)
}

func TestALeaseIsHeldByOneSessionAtATime(t *testing.T) {
	t.Parallel()
	pool := database(t)
	first, second := session(t, pool), session(t, pool)
	leased, release, err := first.Acquire(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	if !held(t, pool, "work") || held(t, pool, "other work") {
		t.Error("what is held is not told, or what is not")
	}
	if _, releaseOther, err := second.Acquire(t.Context(), "other work"); err != nil {
		t.Error(err)
	} else {
		releaseOther()
	}
	for name, another := range map[string]*lease.Session{"another session": second, "the same session": first} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, _, err := another.Acquire(ctx, "work"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s acquires what is held: %v", name, err)
		}
		cancel()
	}
	release()
	if leased.Err() == nil {
		t.Error("the context of a lease outlives it")
	}
	if _, release, err = second.Acquire(t.Context(), "work"); err != nil {
		t.Fatal(err)
	}
	release()
	if held(t, pool, "work") {
		t.Error("a released lease is held")
	}
}

// A node whose session breaks learns of it, and another takes over.
func TestALeaseEndsWithItsSession(t *testing.T) {
	t.Parallel()
	pool := database(t)
	leased, release, err := session(t, pool).Acquire(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := pool.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
		and database = (select oid from pg_database where datname = current_database())`); err != nil {
		t.Fatal(err)
	}
	_, releaseOther, err := session(t, pool).Acquire(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	releaseOther()
	<-leased.Done()
	if errors.Is(context.Cause(leased), context.Canceled) {
		t.Errorf("the lease ended because of %v", context.Cause(leased))
	}
}

func TestLeadersTakeTurns(t *testing.T) {
	t.Parallel()
	pool := database(t)
	working, done := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- lease.NewLeader(pool, "work").Hold(t.Context(), func(context.Context) error {
			close(working)
			<-done
			return nil
		})
	}()
	<-working
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := lease.NewLeader(pool, "work").Hold(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two lead at once: %v", err)
	}
	close(done)
	if err := <-first; err != nil {
		t.Error(err)
	}
	failure := errors.New("the work failed")
	if err := lease.NewLeader(pool, "work").Hold(t.Context(), func(context.Context) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("hold = %v", err)
	}
}
