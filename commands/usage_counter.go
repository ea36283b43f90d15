package commands

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// UsageCounter counts checks exactly: every counted call is one event, appended at the exact revision of its month's
// stream. Checks of one subscription that wait at the same time share an append, so that the price of durability is
// paid once for all of them. Nothing it remembers is needed for correctness; the log decides, on any number of nodes.
type UsageCounter struct {
	store EventStore
	index CheckIndex
	now   func() time.Time
	log   *slog.Logger

	ctx    context.Context // ends when the counter is closed
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	lanes  map[uuid.UUID]*lane
}

// maxIdleLanes bounds how many subscriptions are remembered that nobody is calling for at the moment.
const maxIdleLanes = 4096

// NewUsageCounter returns a counter over the log. Close stops it.
func NewUsageCounter(store EventStore, index CheckIndex, now func() time.Time, log *slog.Logger) *UsageCounter {
	ctx, cancel := context.WithCancel(context.Background())
	return &UsageCounter{store: store, index: index, now: now, log: log, ctx: ctx, cancel: cancel, lanes: map[uuid.UUID]*lane{}}
}

// Close refuses new checks and waits until those under way are decided.
func (c *UsageCounter) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
	c.cancel()
}

// Standing is how a subscription stands in the current month.
type Standing struct {
	Subscription domain.Subscription
	Usage        domain.UsageMonth
}

// Remaining is what is left of the plan, not below 0.
func (s Standing) Remaining() int64 { return s.Usage.Remaining(s.Subscription.Limit) }

// OverLimit is how many counted calls lie beyond the plan.
func (s Standing) OverLimit() int64 { return s.Usage.OverLimit(s.Subscription.Limit) }

// Standing reads how a subscription stands from the log, not from memory.
func (c *UsageCounter) Standing(ctx context.Context, subscription uuid.UUID) (Standing, error) {
	l, err := c.enter(subscription)
	if err != nil {
		return Standing{}, err
	}
	defer c.leave(l)
	return l.refresh(ctx)
}

// LastStanding is the standing this node has seen last, without asking the log; false when it has seen none. It is good
// enough to accompany an error.
func (c *UsageCounter) LastStanding(subscription uuid.UUID) (Standing, bool) {
	c.mu.Lock()
	l := c.lanes[subscription]
	c.mu.Unlock()
	if l == nil {
		return Standing{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing, l.loaded && l.standing.Usage.Month == domain.MonthOf(c.now())
}

// enter gives the lane of a subscription and keeps it from being forgotten until leave.
func (c *UsageCounter) enter(subscription uuid.UUID) (*lane, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, domain.ErrUnavailable.Saying("The service is shutting down. The request was not counted; try again.")
	}
	l := c.lanes[subscription]
	if l == nil {
		if len(c.lanes) >= maxIdleLanes {
			c.forgetIdle()
		}
		l = newLane(c, subscription)
		c.lanes[subscription] = l
	}
	l.users++
	c.work.Add(1)
	return l, nil
}

// retain keeps a lane for one more user, also while the counter closes: the caller is a user of it already.
func (c *UsageCounter) retain(l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.users++
	c.work.Add(1)
}

func (c *UsageCounter) leave(l *lane) {
	c.mu.Lock()
	l.users--
	c.mu.Unlock()
	c.work.Done()
}

// forgetIdle drops the lanes that nobody uses; what they knew is read again from the log. The caller holds mu.
func (c *UsageCounter) forgetIdle() {
	for id, l := range c.lanes {
		if l.users == 0 {
			delete(c.lanes, id)
		}
	}
}
