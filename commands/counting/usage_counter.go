package counting

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// UsageCounter counts checks exactly: every counted call is one event, appended at the exact revision of its month's
// stream. Checks of one subscription that wait at the same time share an append, so that the price of durability is
// paid once for all of them. Nothing it remembers is needed for correctness; the log decides, on any number of nodes.
type UsageCounter struct {
	store commands.EventStore
	index CheckIndex
	now   func() time.Time
	log   *slog.Logger

	ctx    context.Context // ends when the counter is closed
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	batchers map[uuid.UUID]*batcher
}

// maxIdleBatchers bounds how many subscriptions are remembered that nobody is calling for at the moment.
const maxIdleBatchers = 4096

// NewUsageCounter returns a counter over the log. Close stops it.
func NewUsageCounter(store commands.EventStore, index CheckIndex, now func() time.Time, log *slog.Logger) *UsageCounter {
	ctx, cancel := context.WithCancel(context.Background())
	return &UsageCounter{store: store, index: index, now: now, log: log, ctx: ctx, cancel: cancel, batchers: map[uuid.UUID]*batcher{}}
}

// Close refuses new checks and waits until those under way are decided.
func (c *UsageCounter) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
	c.cancel()
}

// Quota is how a subscription stands in the current month.
type Quota struct {
	Subscription domain.Subscription
	Usage        domain.UsageMonth
}

// Remaining returns what is left of the plan, not below 0.
func (s Quota) Remaining() int64 { return s.Usage.Remaining(s.Subscription.Limit) }

// OverLimit returns how many counted calls lie beyond the plan.
func (s Quota) OverLimit() int64 { return s.Usage.OverLimit(s.Subscription.Limit) }

// Quota reads how a subscription stands from the log, not from memory.
func (c *UsageCounter) Quota(ctx context.Context, subscription uuid.UUID) (Quota, error) {
	b, err := c.enter(subscription)
	if err != nil {
		return Quota{}, err
	}
	defer c.leave(b)
	return b.refresh(ctx)
}

// LastQuota is the quota this node has seen last, without asking the log; false when it has seen none. It is good
// enough to accompany an error.
func (c *UsageCounter) LastQuota(subscription uuid.UUID) (Quota, bool) {
	c.mu.Lock()
	b := c.batchers[subscription]
	c.mu.Unlock()
	if b == nil {
		return Quota{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quota, b.loaded && b.quota.Usage.Month == domain.MonthOf(c.now())
}

// enter returns the batcher of a subscription and keeps it from being forgotten until leave.
func (c *UsageCounter) enter(subscription uuid.UUID) (*batcher, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, domain.ErrUnavailable.Saying("The service is shutting down. The request was not counted; try again.")
	}
	b := c.batchers[subscription]
	if b == nil {
		if len(c.batchers) >= maxIdleBatchers {
			c.forgetIdle()
		}
		b = newBatcher(c, subscription)
		c.batchers[subscription] = b
	}
	b.users++
	c.work.Add(1)
	return b, nil
}

// retain keeps a batcher for one more user, also while the counter closes: the caller is a user of it already.
func (c *UsageCounter) retain(b *batcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.users++
	c.work.Add(1)
}

func (c *UsageCounter) leave(b *batcher) {
	c.mu.Lock()
	b.users--
	c.mu.Unlock()
	c.work.Done()
}

// forgetIdle drops the batchers that nobody uses; what they knew is read again from the log. The caller holds mu.
func (c *UsageCounter) forgetIdle() {
	for id, b := range c.batchers {
		if b.users == 0 {
			delete(c.batchers, id)
		}
	}
}
