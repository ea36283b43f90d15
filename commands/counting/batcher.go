package counting

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// batcher is the memory of one subscription: the state of its streams as last seen and the checks that wait to be counted.
type batcher struct {
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
	quota    Quota
	loaded   bool  // quota.Usage and usageRevision belong together
	stale    bool  // an append's outcome stayed unknown: look before the next one
	reserved int64 // checks admitted and not yet decided
	waiting  []*countRequest
	flushing bool
	joined   chan struct{}              // has an element when enough has come to wait
	inFlight map[uuid.UUID]*Reservation // checks with an Idempotency-Key that are under way here
	keys     map[domain.Month]*monthKeys
}

func newBatcher(c *UsageCounter, id uuid.UUID) *batcher {
	return &batcher{
		counter: c, id: id, stateLock: make(chan struct{}, 1), joined: make(chan struct{}, 1), subRevision: commands.NoStream, usageRevision: commands.NoStream,
		inFlight: map[uuid.UUID]*Reservation{}, keys: map[domain.Month]*monthKeys{},
	}
}

func (b *batcher) lockState(ctx context.Context) error {
	select {
	case b.stateLock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *batcher) unlockState() { <-b.stateLock }

// refresh brings the quota up to the log.
func (b *batcher) refresh(ctx context.Context) (Quota, error) {
	if err := b.lockState(ctx); err != nil {
		return Quota{}, commands.Unavailable(err)
	}
	defer b.unlockState()
	if err := b.catchUpSubscription(ctx); err != nil {
		return Quota{}, commands.Unavailable(err)
	}
	if err := b.catchUpUsage(ctx); err != nil {
		return Quota{}, commands.Unavailable(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quota, nil
}

// catchUpSubscription follows the subscription's stream. The caller holds stateLock.
func (b *batcher) catchUpSubscription(ctx context.Context) error {
	b.mu.Lock()
	subscription := b.quota.Subscription
	b.mu.Unlock()
	asked := b.counter.now()
	subscription, revision, err := commands.CatchUp(ctx, b.counter.store, domain.SubscriptionStream(b.id), subscription, b.subRevision)
	if err != nil {
		return err
	}
	b.subRevision, b.subAsked = revision, asked
	b.mu.Lock()
	b.quota.Subscription = subscription
	b.mu.Unlock()
	return nil
}

// catchUpUsage follows the current month's stream. A month's first look reads its last event alone, which carries the
// totals; later looks read what has come since. The caller holds stateLock.
func (b *batcher) catchUpUsage(ctx context.Context) error {
	month := domain.MonthOf(b.counter.now())
	b.mu.Lock()
	usage, known := b.quota.Usage, b.loaded && b.quota.Usage.Month == month
	b.mu.Unlock()

	stream := domain.UsageStream(b.id, month)
	if !known {
		last, found, err := b.counter.store.ReadLast(ctx, stream)
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if err := b.findPriors(ctx); err != nil {
			return err
		}
		usage, b.usageRevision = domain.UsageMonth{Month: month}, commands.NoStream
		if found {
			usage, b.usageRevision = usage.Fold(last.Event), int64(last.Revision)
		}
		b.setUsage(usage)
		return nil
	}
	for {
		page, err := b.counter.store.Read(ctx, stream, uint64(b.usageRevision+1), commands.PageSize)
		if err != nil {
			b.mu.Lock()
			b.quota.Usage, b.stale = usage, true
			b.mu.Unlock()
			return fmt.Errorf("read %s: %w", stream, err)
		}
		for _, recorded := range page {
			usage, b.usageRevision = usage.Fold(recorded.Event), int64(recorded.Revision)
			b.observe(recorded.Event)
		}
		if len(page) < commands.PageSize {
			b.setUsage(usage)
			return nil
		}
	}
}

func (b *batcher) setUsage(usage domain.UsageMonth) {
	b.mu.Lock()
	b.quota.Usage, b.loaded, b.stale = usage, true, false
	b.mu.Unlock()
}

// observe notices when another node has counted a check that is under way here.
func (b *batcher) observe(event domain.Event) {
	completed, ok := event.(domain.CheckCompleted)
	if !ok || !completed.Stands(b.counter.now()) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if reservation := b.inFlight[completed.CheckID]; reservation != nil {
		reservation.prior = &completed
	}
}
