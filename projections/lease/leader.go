package lease

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

// Leader lets one node at a time do a piece of work, by the same kind of lease that read models have.
type Leader struct {
	pool  *pgxpool.Pool
	name  string
	retry time.Duration
	log   *slog.Logger
}

var _ commands.Lease = (*Leader)(nil)

// NewLeader returns the turns at the work called name; nodes with the same database take them.
func NewLeader(pool *pgxpool.Pool, name string, log *slog.Logger) *Leader {
	return &Leader{pool: pool, name: name, retry: 2 * time.Second, log: log}
}

// Hold implements commands.Lease.
func (l *Leader) Hold(ctx context.Context, work func(ctx context.Context) error) error {
	session := NewSession(l.pool, l.retry, l.log)
	defer session.Close(ctx)
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		session.Watch(watching)
	}()
	defer func() {
		stop()
		<-done
	}()
	leased, held, err := session.Acquire(ctx, l.name)
	if err != nil {
		return fmt.Errorf("wait for the turn of %s: %w", l.name, err)
	}
	defer held.Release(ctx)
	return work(leased)
}
