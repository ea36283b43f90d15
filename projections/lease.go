package projections

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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

// errLeaseLost ends what was done under a lease.
var errLeaseLost = errors.New("the lease is lost: the connection to Postgres broke")

// leases are rights to maintain tables, each held by one node at a time. They are advisory locks of one database session
// of their own, so a node that dies gives them up at once, and one that vanishes from the network within seconds. They
// spare work, they do not guard the tables: the checkpoint does, also when two nodes believe to hold one lease.
type leases struct {
	config *pgx.ConnConfig
	retry  time.Duration // how often a lease is asked for that somebody else holds

	mu   sync.Mutex
	conn *pgx.Conn     // nil while not connected
	lost chan struct{} // closed when conn is
	held map[string]bool
}

func newLeases(pool *pgxpool.Pool, retry time.Duration) *leases {
	config := pool.Config().ConnConfig.Copy()
	// Without these a server would keep the session of a node that vanished for hours.
	for name, value := range map[string]string{
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
	} {
		config.RuntimeParams[name] = value
	}
	return &leases{config: config, retry: retry, held: map[string]bool{}}
}

// acquire waits for a lease. The context it returns ends when the lease is lost or released.
func (l *leases) acquire(ctx context.Context, name string) (leased context.Context, release func(), err error) {
	for {
		lost, ok, err := l.try(ctx, name)
		if err != nil {
			return nil, nil, fmt.Errorf("take the lease of %s: %w", name, err)
		}
		if ok {
			leased, cancel := context.WithCancelCause(ctx)
			go func() {
				select {
				case <-lost:
					cancel(errLeaseLost)
				case <-leased.Done():
				}
			}()
			return leased, func() {
				cancel(context.Canceled)
				l.release(ctx, name, lost)
			}, nil
		}
		if err := pause(ctx, l.retry); err != nil {
			return nil, nil, err
		}
	}
}

// try asks for a lease once. A question that is cut off would cost the session with all its leases, so it is not bound to
// the caller's context but to a time of its own.
func (l *leases) try(ctx context.Context, name string) (lost <-chan struct{}, ok bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[name] { // the session would be given its own lock again
		return nil, false, nil
	}
	if l.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, l.config)
		if err != nil {
			return nil, false, err
		}
		l.conn, l.lost = conn, make(chan struct{})
	}
	if err := l.conn.QueryRow(ctx, "select pg_try_advisory_lock($1, $2)", lockClass, lockNumber(name)).Scan(&ok); err != nil {
		l.drop(ctx)
		return nil, false, err
	}
	if ok {
		l.held[name] = true
	}
	return l.lost, ok, nil
}

func (l *leases) release(ctx context.Context, name string, lost <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.lost != lost {
		return // it went with its session
	}
	delete(l.held, name)
	if _, err := l.conn.Exec(ctx, "select pg_advisory_unlock($1, $2)", lockClass, lockNumber(name)); err != nil {
		l.drop(ctx)
	}
}

// drop ends the session and with it every lease. The caller holds mu.
func (l *leases) drop(ctx context.Context) {
	_ = l.conn.Close(ctx)
	close(l.lost)
	l.conn, l.held = nil, map[string]bool{}
}

// watch notices a broken session. It returns, and ends the session, when ctx does; nothing may be under a lease then.
func (l *leases) watch(ctx context.Context) {
	for pause(ctx, leaseCheck) == nil {
		l.mu.Lock()
		if l.conn != nil {
			checking, cancel := context.WithTimeout(ctx, leaseTimeout)
			if err := l.conn.Ping(checking); err != nil {
				l.drop(ctx)
			}
			cancel()
		}
		l.mu.Unlock()
	}
}

// close ends the session.
func (l *leases) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.drop(ctx)
	}
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
