// Package lease lets one node at a time do a piece of work: maintain a read model, or run a loop that AWS must see once.
// Nothing may rely on a lease for correctness: two nodes may believe for a moment that they hold the same one.
package lease

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

// lockClass sets our advisory locks apart from those of others in the database.
const lockClass int32 = 0x6c697665

// lockNumber is the number of an advisory lock.
func lockNumber(name string) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int32(h.Sum32())
}

const (
	leaseCheck   = 2 * time.Second // how often the session is asked whether it still lives
	leaseTimeout = 5 * time.Second // for one question to Postgres
)

// errLost ends what was done under a lease.
var errLost = errors.New("the lease is lost: the connection to Postgres broke")

// Session holds leases, each held by one session at a time. They are advisory locks of one database session of its own, so
// a node that dies gives them up at once, and one that vanishes from the network within seconds. They spare work, they do
// not guard what is worked on: of a read model's tables the checkpoint does, also when two nodes believe to hold one lease.
type Session struct {
	config *pgx.ConnConfig
	retry  time.Duration // how often a lease is asked for that somebody else holds

	mu   sync.Mutex
	conn *pgx.Conn     // nil while not connected
	lost chan struct{} // closed when conn is
	held map[string]bool
}

// NewSession returns a session on the database of pool that asks for a lease that somebody else holds every retry.
func NewSession(pool *pgxpool.Pool, retry time.Duration) *Session {
	config := pool.Config().ConnConfig.Copy()
	// Without these a server would keep the session of a node that vanished for hours.
	maps.Copy(config.RuntimeParams, map[string]string{
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
	})
	return &Session{config: config, retry: retry, held: map[string]bool{}}
}

// Acquire waits for a lease. The context it returns ends when the lease is lost or released.
func (s *Session) Acquire(ctx context.Context, name string) (leased context.Context, release func(), err error) {
	for {
		lost, ok, err := s.try(ctx, name)
		if err != nil {
			return nil, nil, fmt.Errorf("take the lease of %s: %w", name, err)
		}
		if ok {
			leased, cancel := context.WithCancelCause(ctx)
			go func() {
				select {
				case <-lost:
					cancel(errLost)
				case <-leased.Done():
				}
			}()
			return leased, func() {
				cancel(context.Canceled)
				s.release(ctx, name, lost)
			}, nil
		}
		if err := commands.Sleep(ctx, s.retry); err != nil {
			return nil, nil, err
		}
	}
}

// try asks for a lease once. A question that is cut off would cost the session with all its leases, so it is not bound to
// the caller's context but to a time of its own.
func (s *Session) try(ctx context.Context, name string) (lost <-chan struct{}, ok bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[name] { // the session would be given its own lock again
		return nil, false, nil
	}
	if s.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, s.config)
		if err != nil {
			return nil, false, err
		}
		s.conn, s.lost = conn, make(chan struct{})
	}
	if err := s.conn.QueryRow(ctx, "select pg_try_advisory_lock($1, $2)", lockClass, lockNumber(name)).Scan(&ok); err != nil {
		s.drop(ctx)
		return nil, false, err
	}
	if ok {
		s.held[name] = true
	}
	return s.lost, ok, nil
}

func (s *Session) release(ctx context.Context, name string, lost <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.lost != lost {
		return // it went with its session
	}
	delete(s.held, name)
	if _, err := s.conn.Exec(ctx, "select pg_advisory_unlock($1, $2)", lockClass, lockNumber(name)); err != nil {
		s.drop(ctx)
	}
}

// drop ends the session and with it every lease. The caller holds mu.
func (s *Session) drop(ctx context.Context) {
	_ = s.conn.Close(ctx)
	close(s.lost)
	s.conn, s.held = nil, map[string]bool{}
}

// Watch notices a broken session. It returns, and ends the session, when ctx does; nothing may be under a lease then.
func (s *Session) Watch(ctx context.Context) {
	for commands.Sleep(ctx, leaseCheck) == nil {
		s.mu.Lock()
		if s.conn != nil {
			checking, cancel := context.WithTimeout(ctx, leaseTimeout)
			if err := s.conn.Ping(checking); err != nil {
				s.drop(ctx)
			}
			cancel()
		}
		s.mu.Unlock()
	}
}

// Close ends the session and with it every lease.
func (s *Session) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.drop(ctx)
	}
}

// Held returns whether some session held a lease when it was called.
func Held(ctx context.Context, pool *pgxpool.Pool) (held func(name string) bool, err error) {
	rows, _ := pool.Query(ctx, `
		select objid::bigint from pg_locks
		where locktype = 'advisory' and granted and objsubid = 2 and classid = $1::bigint::oid
			and database = (select oid from pg_database where datname = current_database())`, int64(lockClass))
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read who holds which lease: %w", err)
	}
	return func(name string) bool { return slices.Contains(numbers, int64(uint32(lockNumber(name)))) }, nil
}

// HoldUntilCommit waits for a lease and holds it until the transaction ends.
func HoldUntilCommit(ctx context.Context, tx pgx.Tx, name string) error {
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1, $2)", lockClass, lockNumber(name)); err != nil {
		return fmt.Errorf("take the lease of %s: %w", name, err)
	}
	return nil
}
