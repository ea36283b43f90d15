package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

// Leader lets one node at a time do a piece of work, by the same kind of lease that read models have.
type Leader struct {
	pool  *pgxpool.Pool
	name  string
	retry time.Duration
}

var _ commands.Lease = (*Leader)(nil)

// NewLeader names the work; nodes with the same database and name take turns.
func NewLeader(pool *pgxpool.Pool, name string) *Leader {
	return &Leader{pool: pool, name: name, retry: 2 * time.Second}
}

// Hold implements commands.Lease.
func (l *Leader) Hold(ctx context.Context, work func(ctx context.Context) error) error {
	held := newLeases(l.pool, l.retry)
	defer held.close(ctx)
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		held.watch(watching)
	}()
	defer func() {
		stop()
		<-done
	}()
	leased, release, err := held.acquire(ctx, l.name)
	if err != nil {
		return fmt.Errorf("wait for the turn of %s: %w", l.name, err)
	}
	defer release()
	return work(leased)
}
