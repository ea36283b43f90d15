package lease_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/projections/lease"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// hung returns a session of a process that hangs: it is connected, and renews nothing.
func hung(t *testing.T, pool *pgxpool.Pool) *lease.Session {
	t.Helper()
	s := lease.NewSession(pool, 10*time.Millisecond, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { s.Close(t.Context()) })
	return s
}

// session keeps watch over a session until the test ends.
func session(t *testing.T, pool *pgxpool.Pool) *lease.Session {
	t.Helper()
	s := hung(t, pool)
	watch(t, s)
	return s
}

func watch(t *testing.T, s *lease.Session) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.Watch(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-watched
	})
}

func acquire(t *testing.T, s *lease.Session, name string) (context.Context, *lease.Held) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	leased, held, err := s.Acquire(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return leased, held
}

func held(t *testing.T, pool *pgxpool.Pool, name string) bool {
	t.Helper()
	holders, err := lease.Holders(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	holder, isHeld := holders[name]
	if isHeld && (!strings.Contains(holder.Node, fmt.Sprint(os.Getpid())) || time.Since(holder.Since) > time.Hour) {
		t.Errorf("held by %+v", holder)
	}
	return isHeld
}

func TestALeaseIsHeldByOneSessionAtATime(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	first, second := session(t, pool), session(t, pool)
	leased, mine := acquire(t, first, "work")
	if !held(t, pool, "work") || held(t, pool, "other work") {
		t.Error("what is held is not told, or what is not")
	}
	_, other := acquire(t, second, "other work")
	other.Release(t.Context())
	for name, another := range map[string]*lease.Session{"another session": second, "the same session": first} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, _, err := another.Acquire(ctx, "work"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s acquires what is held: %v", name, err)
		}
		cancel()
	}
	mine.Release(t.Context())
	if leased.Err() == nil {
		t.Error("the context of a lease outlives it")
	}
	_, theirs := acquire(t, second, "work")
	theirs.Release(t.Context())
	if held(t, pool, "work") {
		t.Error("a released lease is held")
	}
}

// A node whose session breaks, as that of a process that was killed does, gives everything up at once: its leases last for an hour
// here. It learns of it itself too, and nothing that it has begun under the lease commits.
func TestALeaseEndsWithItsSession(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	first := hung(t, pool)
	first.ExpireAfter(time.Hour)
	leased, held := acquire(t, first, "work")
	if _, err := pool.Exec(t.Context(), "select pg_terminate_backend(backend) from leases"); err != nil {
		t.Fatal(err)
	}
	_, theirs := acquire(t, session(t, pool), "work")
	defer theirs.Release(t.Context())
	watch(t, first)
	<-leased.Done()
	if cause := context.Cause(leased); !errors.Is(cause, lease.ErrLost) {
		t.Errorf("the lease ended because of %v", cause)
	}
	wantFenced(t, pool, held, lease.ErrLost)
}

// wantFenced begins a transaction under a lease.
func wantFenced(t *testing.T, pool *pgxpool.Pool, held *lease.Held, want error) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return held.Fence(t.Context(), tx) })
	if !errors.Is(err, want) {
		t.Errorf("a transaction under the lease = %v, want %v", err, want)
	}
}

// A process that hangs, connected and in the middle of a transaction, loses its lease; what it had begun is rolled back, and when it
// goes on, it is told and changes nothing any more.
func TestTheLeaseOfAHungProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := pool.Exec(t.Context(), "create table work (done text)"); err != nil {
		t.Fatal(err)
	}
	first := hung(t, pool)
	first.ExpireAfter(100 * time.Millisecond)
	leased, stale := acquire(t, first, "work")
	begun, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = begun.Rollback(t.Context()) }()
	if err := stale.Fence(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	if _, err := begun.Exec(t.Context(), "insert into work values ('by the first')"); err != nil {
		t.Fatal(err)
	}

	_, fresh := acquire(t, session(t, pool), "work")
	if err := begun.Commit(t.Context()); err == nil {
		t.Error("what hung commits after its lease was taken over")
	}
	wantFenced(t, pool, stale, lease.ErrLost)
	if cause := context.Cause(leased); !errors.Is(cause, lease.ErrLost) {
		t.Errorf("the lease ended because of %v", cause)
	}
	wantFenced(t, pool, fresh, nil)
	var done int
	if err := pool.QueryRow(t.Context(), "select count(*) from work").Scan(&done); err != nil || done != 0 {
		t.Errorf("%d changes of the first, %v", done, err)
	}
	stale.Release(t.Context()) // is not the other's
	if !held(t, pool, "work") {
		t.Error("who has lost a lease has given it away once more")
	}
	watch(t, first)
	fresh.Release(t.Context())
	acquire(t, first, "work") // from here on it takes part again
}

// While a transaction is under way whose node is well, the lease is renewed and nobody takes it.
func TestALeaseIsRenewedDuringATransaction(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	first := session(t, pool)
	leased, held := acquire(t, first, "work")
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := held.Fence(t.Context(), tx); err != nil {
			return err
		}
		var before, after time.Time
		if err := pool.QueryRow(t.Context(), "select expires_at from leases").Scan(&before); err != nil {
			return err
		}
		for after = before; after.Equal(before); {
			if err := pool.QueryRow(t.Context(), "select expires_at from leases").Scan(&after); err != nil {
				return err
			}
		}
		return leased.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

// A server has the databases of several installations; one that takes a lease over ends nothing of the others.
func TestALeaseOfAnotherDatabaseIsLeft(t *testing.T) {
	t.Parallel()
	pool, other := pgtest.Pool(t), pgtest.Pool(t)
	_, held := acquire(t, session(t, pool), "work")
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := held.Fence(t.Context(), tx); err != nil {
			return err
		}
		gone := hung(t, other)
		gone.ExpireAfter(time.Millisecond)
		acquire(t, gone, "work")
		acquire(t, session(t, other), "work")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Who waits for a lease says for which, who holds it and since when, once.
func TestWhoWaitsForALeaseSaysWhoHoldsIt(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	_, mine := acquire(t, session(t, pool), "work")
	said := make(lines, 9)
	waiting := lease.NewSession(pool, time.Millisecond, slog.New(slog.NewTextHandler(said, nil)))
	defer waiting.Close(t.Context())
	acquired := make(chan error, 1)
	go func() {
		_, _, err := waiting.Acquire(t.Context(), "work")
		acquired <- err
	}()
	text := <-said
	if !strings.Contains(text, "waiting for the lease of work") || !strings.Contains(text, fmt.Sprint("process ", os.Getpid())) || !strings.Contains(text, "held_since=") {
		t.Errorf("the log says %q", text)
	}
	select {
	case again := <-said:
		t.Errorf("the log says it again: %q", again)
	case <-time.After(50 * time.Millisecond): // in which it tries again and again
	}
	mine.Release(t.Context())
	if err := <-acquired; err != nil {
		t.Errorf("acquire = %v", err)
	}
}

// lines are what is logged.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

func leader(t *testing.T, pool *pgxpool.Pool) *lease.Leader {
	t.Helper()
	return lease.NewLeader(session(t, pool), "work")
}

func TestLeadersTakeTurns(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	working, done := make(chan struct{}), make(chan struct{})
	first, leading := make(chan error, 1), leader(t, pool)
	go func() {
		first <- leading.Hold(t.Context(), func(context.Context) error {
			close(working)
			<-done
			return nil
		})
	}()
	<-working
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := leader(t, pool).Hold(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two lead at once: %v", err)
	}
	close(done)
	if err := <-first; err != nil {
		t.Error(err)
	}
	failure := errors.New("the work failed")
	if err := leader(t, pool).Hold(t.Context(), func(context.Context) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("hold = %v", err)
	}
}
