package commands

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// lane is the memory of one subscription: the state of its streams as last seen and the checks that wait to be counted.
type lane struct {
	counter *UsageCounter
	id      uuid.UUID
	users   int // guarded by counter.mu

	// stateLock is held, as a token in a channel so that waiting for it ends with a context, by whoever reads or
	// appends for the subscription. It comes before mu.
	stateLock     chan struct{}
	subRevision   int64     // of the subscription's stream
	subAsked      time.Time // when the subscription's stream was asked last
	usageRevision int64     // of the month's stream

	mu       sync.Mutex // guards what follows
	standing Standing
	loaded   bool  // standing.Usage and usageRevision belong together
	stale    bool  // an append's outcome stayed unknown: look before the next one
	reserved int64 // checks admitted and not yet decided
	waiting  []*countRequest
	flushing bool
	joined   chan struct{}         // has an element when enough has come to wait
	inFlight map[uuid.UUID]*Ticket // checks with an Idempotency-Key that are under way here
}

func newLane(c *UsageCounter, id uuid.UUID) *lane {
	return &lane{
		counter: c, id: id, stateLock: make(chan struct{}, 1), joined: make(chan struct{}, 1), subRevision: NoStream, usageRevision: NoStream,
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
		return Standing{}, Unavailable(err)
	}
	defer l.unlockState()
	if err := l.catchUpSubscription(ctx); err != nil {
		return Standing{}, Unavailable(err)
	}
	if err := l.catchUpUsage(ctx); err != nil {
		return Standing{}, Unavailable(err)
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
	asked := l.counter.now()
	subscription, revision, err := CatchUp(ctx, l.counter.store, domain.SubscriptionStream(l.id), subscription, l.subRevision)
	if err != nil {
		return err
	}
	l.subRevision, l.subAsked = revision, asked
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
		page, err := l.counter.store.Read(ctx, stream, uint64(l.usageRevision+1), PageSize)
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
		if len(page) < PageSize {
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
