package commands

import (
	"context"
	"errors"
	"fmt"
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

// lane is the memory of one subscription: the state of its streams as last seen and the checks that wait to be counted.
type lane struct {
	counter *UsageCounter
	id      uuid.UUID
	users   int // guarded by counter.mu

	// stateLock is held, as a token in a channel so that waiting for it ends with a context, by whoever reads or
	// appends for the subscription. It comes before mu.
	stateLock     chan struct{}
	subRevision   int64 // of the subscription's stream
	usageRevision int64 // of the month's stream

	mu       sync.Mutex // guards what follows
	standing Standing
	loaded   bool  // standing.Usage and usageRevision belong together
	stale    bool  // an append's outcome stayed unknown: look before the next one
	reserved int64 // checks admitted and not yet decided
	waiting  []*countRequest
	flushing bool
	inFlight map[uuid.UUID]*Ticket // checks with an Idempotency-Key that are under way here
}

func newLane(c *UsageCounter, id uuid.UUID) *lane {
	return &lane{
		counter: c, id: id, stateLock: make(chan struct{}, 1), subRevision: NoStream, usageRevision: NoStream,
		inFlight: map[uuid.UUID]*Ticket{},
	}
}

func (l *lane) lockState(ctx context.Context) error {
	select {
	case l.stateLock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lane) unlockState() { <-l.stateLock }

// refresh brings the standing up to the log.
func (l *lane) refresh(ctx context.Context) (Standing, error) {
	if err := l.lockState(ctx); err != nil {
		return Standing{}, unavailable(err)
	}
	defer l.unlockState()
	if err := l.catchUpSubscription(ctx); err != nil {
		return Standing{}, unavailable(err)
	}
	if err := l.catchUpUsage(ctx); err != nil {
		return Standing{}, unavailable(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing, nil
}

// catchUpSubscription follows the subscription's stream. The caller holds stateLock.
func (l *lane) catchUpSubscription(ctx context.Context) error {
	l.mu.Lock()
	subscription := l.standing.Subscription
	l.mu.Unlock()
	subscription, revision, err := catchUp(ctx, l.counter.store, domain.SubscriptionStream(l.id), subscription, l.subRevision)
	if err != nil {
		return err
	}
	l.subRevision = revision
	l.mu.Lock()
	l.standing.Subscription = subscription
	l.mu.Unlock()
	return nil
}

// catchUpUsage follows the current month's stream. A month's first look reads its last event alone, which carries the
// totals; later looks read what has come since. The caller holds stateLock.
func (l *lane) catchUpUsage(ctx context.Context) error {
	month := domain.MonthOf(l.counter.now())
	l.mu.Lock()
	usage, known := l.standing.Usage, l.loaded && l.standing.Usage.Month == month
	l.mu.Unlock()

	stream := domain.UsageStream(l.id, month)
	if !known {
		last, found, err := l.counter.store.ReadLast(ctx, stream)
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if err := l.findPriors(ctx); err != nil {
			return err
		}
		usage, l.usageRevision = domain.UsageMonth{Month: month}, NoStream
		if found {
			usage, l.usageRevision = usage.Fold(last.Event), int64(last.Revision)
		}
		l.setUsage(usage)
		return nil
	}
	for {
		page, err := l.counter.store.Read(ctx, stream, uint64(l.usageRevision+1), pageSize)
		if err != nil {
			l.mu.Lock()
			l.standing.Usage, l.stale = usage, true
			l.mu.Unlock()
			return fmt.Errorf("read %s: %w", stream, err)
		}
		for _, recorded := range page {
			usage, l.usageRevision = usage.Fold(recorded.Event), int64(recorded.Revision)
			l.observe(recorded.Event)
		}
		if len(page) < pageSize {
			l.setUsage(usage)
			return nil
		}
	}
}

func (l *lane) setUsage(usage domain.UsageMonth) {
	l.mu.Lock()
	l.standing.Usage, l.loaded, l.stale = usage, true, false
	l.mu.Unlock()
}

// observe notices when another node has counted a check that is under way here.
func (l *lane) observe(event domain.Event) {
	completed, ok := event.(domain.CheckCompleted)
	if !ok || !l.counter.answers(completed) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ticket := l.inFlight[completed.CheckID]; ticket != nil {
		ticket.prior = &completed
	}
}

// countRequest is one check that waits to be counted.
type countRequest struct {
	ticket *Ticket
	check  domain.Check
	by     Origin
	done   chan countOutcome // buffered: the flush never waits for a caller that has left
}

type countOutcome struct {
	event domain.CheckCompleted
	err   error
}

// settle answers the request. A place that it held is free: either the call stands in the usage now, or it never will.
// The caller holds the lane's mu.
func (r *countRequest) settle(event domain.CheckCompleted, err error) {
	r.ticket.giveUpPlace()
	r.done <- countOutcome{event, err}
}

// flush counts what waits, batch by batch, until nothing does.
func (l *lane) flush() {
	defer l.counter.leave(l)
	for {
		l.mu.Lock()
		batch := l.waiting
		if len(batch) > maxBatch {
			batch = batch[:maxBatch]
		}
		l.waiting = l.waiting[len(batch):]
		if len(batch) == 0 {
			l.flushing, l.waiting = false, nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.commit(batch)
	}
}

const (
	// maxBatch keeps an append well below the store's limit of 1 MiB.
	maxBatch = 400
	// commitPatience is how long a batch tries to learn its outcome before its callers are told that it is not known.
	commitPatience = 15 * time.Second
)

// commit decides on a batch and appends it, again after every conflict, and answers each of its requests once.
func (l *lane) commit(batch []*countRequest) {
	ctx, cancel := context.WithTimeout(l.counter.ctx, commitPatience)
	defer cancel()
	if err := l.lockState(ctx); err != nil {
		answerAll(batch, unavailable(err))
		return
	}
	defer l.unlockState()

	err := l.catchUpSubscription(ctx)
	if err == nil {
		err = l.ensureMonth(ctx)
	}
	for err == nil {
		counted := l.decide(batch)
		if len(counted) == 0 {
			return
		}
		batch = requestsOf(counted)
		err = l.append(ctx, counted)
		if err == nil {
			return
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
		if err = l.catchUpUsage(ctx); err == nil {
			err = l.catchUpSubscription(ctx)
		}
	}
	l.mu.Lock()
	l.stale = true
	l.mu.Unlock()
	answerAll(batch, unavailable(err))
}

// ensureMonth loads the month's stream when it is not the one in memory. Within a month the append itself finds out
// whether others have written, so nothing is read. The caller holds stateLock.
func (l *lane) ensureMonth(ctx context.Context) error {
	l.mu.Lock()
	known := l.loaded && !l.stale && l.standing.Usage.Month == domain.MonthOf(l.counter.now())
	l.mu.Unlock()
	if known {
		return nil
	}
	return l.catchUpUsage(ctx)
}

type countedRequest struct {
	request *countRequest
	event   domain.CheckCompleted
}

// decide folds each request into the state as if those before it were counted. Requests that are refused, or that
// another node has counted already, are answered here.
func (l *lane) decide(batch []*countRequest) []countedRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	usage, revision := l.standing.Usage, uint64(max(l.subRevision, 0))
	counted := make([]countedRequest, 0, len(batch))
	for _, request := range batch {
		if prior := request.ticket.prior; prior != nil {
			request.settle(matchDigest(*prior, request.check.RequestDigest))
			continue
		}
		check := request.check
		if start := usage.Month.Start(); check.At.Before(start) {
			check.At = start // handed over before the month began that it counts in
		}
		event, err := usage.Count(l.standing.Subscription, revision, check)
		if err != nil {
			request.settle(event, err)
			continue
		}
		usage = usage.Fold(event)
		counted = append(counted, countedRequest{request, event})
	}
	return counted
}

// append writes the counted calls and answers them once they are durable.
func (l *lane) append(ctx context.Context, counted []countedRequest) error {
	proposed := make([]Proposed, len(counted))
	for i, c := range counted {
		proposed[i] = Proposed{
			ID: c.event.CheckID, Event: c.event,
			Meta: domain.Metadata{
				CorrelationID: c.request.by.CorrelationID, CausationID: c.request.by.CommandID,
				Actor: c.request.by.Actor, OccurredAt: c.event.CompletedAt,
			},
		}
	}
	stream := domain.UsageStream(l.id, counted[0].event.Month)
	appended, err := appendSurely(ctx, l.counter.store, stream, l.usageRevision, proposed)
	if err != nil {
		return fmt.Errorf("append %d checks to %s: %w", len(counted), stream, err)
	}
	if err := l.adopt(ctx, stream, counted); err != nil {
		return err
	}
	l.usageRevision = int64(appended.Revision)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.standing.Usage, l.stale = l.standing.Usage.Fold(counted[len(counted)-1].event), false
	for _, c := range counted {
		c.request.settle(matchDigest(c.event, c.request.check.RequestDigest))
	}
	return nil
}

// adopt replaces the events of an append by what the store holds, when these may be others: with the same
// Idempotency-Keys at the same revision, another node's append and this one look alike to the store, which takes the
// second for the first repeated. An id that was drawn, of a check without a key, is in this append alone.
func (l *lane) adopt(ctx context.Context, stream string, counted []countedRequest) error {
	for _, c := range counted {
		if !c.request.ticket.keyed {
			return nil
		}
	}
	page, err := l.counter.store.Read(ctx, stream, uint64(l.usageRevision+1), len(counted))
	if err != nil {
		return fmt.Errorf("read back %d checks of %s: %w", len(counted), stream, err)
	}
	for i, recorded := range page {
		completed, ok := recorded.Event.(domain.CheckCompleted)
		if !ok || !l.counter.answers(completed) {
			return ErrConflict // what the keys stood for more than a day ago
		}
		counted[i].event = completed
	}
	return nil
}

func requestsOf(counted []countedRequest) []*countRequest {
	requests := make([]*countRequest, len(counted))
	for i, c := range counted {
		requests[i] = c.request
	}
	return requests
}

func answerAll(requests []*countRequest, err error) {
	for _, request := range requests {
		request.done <- countOutcome{err: err}
	}
}
