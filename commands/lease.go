package commands

import (
	"context"
	"log/slog"
	"time"
)

// Lease lets one node at a time do a piece of work. Hold waits for it, works under a context that ends when the lease is
// lost, and returns what work returned. It spares double work; nothing relies on it.
type Lease interface {
	Hold(ctx context.Context, work func(ctx context.Context) error) error
}

// leaseRetryDelay is how long a node that has lost its lease, or cannot ask for it, lets others go first.
const leaseRetryDelay = time.Second

// RunUnderLease works whenever this node holds the lease, until ctx ends. What names the work in the log.
func RunUnderLease(ctx context.Context, lease Lease, log *slog.Logger, what string, work func(ctx context.Context) error) {
	for ctx.Err() == nil {
		err := lease.Hold(ctx, work)
		if ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "the lease is lost or cannot be had, and will be asked for again", "work", what, "error", err)
		_ = Sleep(ctx, leaseRetryDelay)
	}
}

// Sleep waits; it returns early, with the cause, when ctx ends.
func Sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
