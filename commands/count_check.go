package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// idempotencyValidity is how long an Idempotency-Key stands for the first request that used it.
const idempotencyValidity = 24 * time.Hour

// Ticket is the right of one request to be counted. Release it whatever happens.
type Ticket struct {
	lane    *lane
	owner   KeyOwner
	checkID uuid.UUID
	keyed   bool                   // the request has an Idempotency-Key
	prior   *domain.CheckCompleted // the request was counted before; guarded by lane.mu
	ended   chan struct{}          // closed by Release; a duplicate waits for it
	held    bool                   // a place below the limit is reserved; guarded by lane.mu
}

// Begin admits a request before its image is read: it refuses when the subscription serves no calls, or when the limit is
// used up, by calls counted or under way, and the setting is "stop". A refusal is decided on the log as it is now.
// A request whose Idempotency-Key was used before is admitted without a place; Prior then has its first answer.
func (c *UsageCounter) Begin(ctx context.Context, owner KeyOwner, idempotencyKey string) (*Ticket, error) {
	l, err := c.enter(owner.SubscriptionID)
	if err != nil {
		return nil, err
	}
	ticket := &Ticket{lane: l, owner: owner, checkID: uuid.New(), ended: make(chan struct{})}
	if idempotencyKey != "" {
		ticket.checkID, ticket.keyed = domain.CheckIDForIdempotencyKey(owner.SubscriptionID, idempotencyKey), true
		if err := ticket.claimKey(ctx); err != nil {
			c.leave(l)
			return nil, err
		}
	}
	if err := ticket.reserve(ctx); err != nil {
		ticket.Release()
		return nil, err
	}
	return ticket, nil
}

// claimKey makes this the only request under way with its Idempotency-Key, after waiting for one that is, and looks
// whether the key was used before.
func (t *Ticket) claimKey(ctx context.Context) error {
	l := t.lane
	for {
		l.mu.Lock()
		first := l.inFlight[t.checkID]
		if first == nil {
			l.inFlight[t.checkID] = t
			l.mu.Unlock()
			break
		}
		l.mu.Unlock()
		select {
		case <-first.ended:
		case <-ctx.Done():
			return Unavailable(ctx.Err())
		}
	}
	prior, err := l.findPrior(ctx, t.checkID)
	if err != nil {
		t.forgetKey()
		return Unavailable(err)
	}
	l.mu.Lock()
	if t.prior == nil {
		t.prior = prior
	}
	l.mu.Unlock()
	return nil
}

func (t *Ticket) forgetKey() {
	t.lane.mu.Lock()
	delete(t.lane.inFlight, t.checkID)
	t.lane.mu.Unlock()
	close(t.ended)
}

// reserve takes a place below the limit. What memory would refuse is looked up in the log first: the customer may have
// switched the setting, changed the plan, or a new month may have begun.
func (t *Ticket) reserve(ctx context.Context) error {
	l := t.lane
	tryReserve := func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.prior != nil {
			return nil
		}
		if !l.loaded || l.stale || l.standing.Usage.Month != domain.MonthOf(l.counter.now()) {
			return errStale
		}
		if err := l.standing.Usage.Admit(l.standing.Subscription, l.reserved); err != nil {
			return err
		}
		l.reserved++
		t.held = true
		return nil
	}
	if err := tryReserve(); err == nil {
		return nil
	}
	if _, err := l.refresh(ctx); err != nil {
		return err
	}
	if err := tryReserve(); !errors.Is(err, errStale) {
		return err
	}
	return domain.ErrUnavailable.Because(errStale)
}

var errStale = errors.New("usage is not loaded")

// Prior gives the first answer to a request that was counted before. Its digest must be that of the first request.
func (t *Ticket) Prior(digest string) (event domain.CheckCompleted, found bool, err error) {
	t.lane.mu.Lock()
	prior := t.prior
	t.lane.mu.Unlock()
	if prior == nil {
		return domain.CheckCompleted{}, false, nil
	}
	event, err = matchDigest(*prior, digest)
	return event, true, err
}

func matchDigest(prior domain.CheckCompleted, digest string) (domain.CheckCompleted, error) {
	if prior.RequestDigest != digest {
		return domain.CheckCompleted{}, domain.ErrIdempotencyConflict
	}
	return prior, nil
}

// Count makes the judgement a counted call and returns once that is durable.
func (t *Ticket) Count(ctx context.Context, by Origin, digest string, judgement domain.Judgement) (domain.CheckCompleted, error) {
	l := t.lane
	request := &countRequest{
		ticket: t, by: by, done: make(chan countOutcome, 1), handedOver: time.Now(),
		check: domain.Check{ID: t.checkID, KeySlot: t.owner.Slot, Judgement: judgement, At: l.counter.now()},
	}
	if t.keyed {
		request.check.RequestDigest = digest
	}
	l.mu.Lock()
	l.waiting = append(l.waiting, request)
	start, enough := !l.flushing, l.quarterWaits()
	l.flushing = true
	l.mu.Unlock()
	if enough {
		select {
		case l.joined <- struct{}{}:
		default:
		}
	}
	if start {
		l.counter.retain(l)
		go l.flush() // leaves the lane when nothing waits any more
	}
	// The caller's context does not end the wait: once handed over, the check may become durable at any moment, and an
	// answer that says otherwise would be wrong. commitTimeout bounds it.
	outcome := <-request.done
	return outcome.event, outcome.err
}

// Release gives the place back and lets a duplicate of the request go on. It may be called once.
func (t *Ticket) Release() {
	l := t.lane
	l.mu.Lock()
	t.giveUpPlace()
	l.mu.Unlock()
	if t.keyed {
		t.forgetKey()
	}
	l.counter.leave(l)
}

// giveUpPlace frees the place below the limit, if one is held. The caller holds the lane's mu.
func (t *Ticket) giveUpPlace() {
	if t.held {
		t.held = false
		t.lane.reserved--
	}
}

// answers says whether a counted call still stands for its Idempotency-Key.
func (c *UsageCounter) answers(prior domain.CheckCompleted) bool {
	return c.now().Sub(prior.CompletedAt) < idempotencyValidity
}

// findPriors looks again for every check under way with an Idempotency-Key. It is called when the last event of a month
// alone is read, so that what other nodes have counted before it is not seen event by event. The caller holds stateLock.
//
// One case stays open: the same key under way on two nodes while the month ends, and one of them still waiting for the
// outcome of its append to the old month when the other counts in the new one.
func (l *lane) findPriors(ctx context.Context) error {
	l.mu.Lock()
	var open []*Ticket
	for _, ticket := range l.inFlight {
		if ticket.prior == nil {
			open = append(open, ticket)
		}
	}
	l.mu.Unlock()
	for _, ticket := range open {
		prior, err := l.findPrior(ctx, ticket.checkID)
		if err != nil {
			return fmt.Errorf("look for an earlier check: %w", err)
		}
		l.mu.Lock()
		ticket.prior = prior
		l.mu.Unlock()
	}
	return nil
}

// findPrior looks for a check that was counted under id in the last 24 hours: in the index as far as it has come, and in
// the log from there on, for this month and, while 24 hours reach back into it, the one before.
func (l *lane) findPrior(ctx context.Context, id uuid.UUID) (*domain.CheckCompleted, error) {
	now := l.counter.now()
	month := domain.MonthOf(now)
	prior, err := l.findInMonth(ctx, month, id)
	if err == nil && prior == nil && now.Sub(month.Start()) < idempotencyValidity {
		prior, err = l.findInMonth(ctx, month.Previous(), id)
	}
	if err != nil || prior == nil || !l.counter.answers(*prior) {
		return nil, err
	}
	return prior, nil
}

func (l *lane) findInMonth(ctx context.Context, month domain.Month, id uuid.UUID) (*domain.CheckCompleted, error) {
	ordinal, found, indexed, err := l.counter.index.FindCheck(ctx, l.id, month, id)
	if err != nil {
		return nil, err
	}
	store, stream := l.counter.store, domain.UsageStream(l.id, month)
	var newest *domain.CheckCompleted
	if found {
		// An ordinal is the revision plus one: the stream holds nothing but counted calls.
		page, err := store.Read(ctx, stream, uint64(ordinal-1), 1)
		if err != nil {
			return nil, err
		}
		for _, recorded := range page {
			if completed, ok := recorded.Event.(domain.CheckCompleted); ok && completed.CheckID == id {
				newest = &completed
			}
		}
	}
	for from := uint64(indexed); ; from += PageSize {
		page, err := store.Read(ctx, stream, from, PageSize)
		if err != nil {
			return nil, err
		}
		for _, recorded := range page {
			if completed, ok := recorded.Event.(domain.CheckCompleted); ok && completed.CheckID == id {
				newest = &completed
			}
		}
		if len(page) < PageSize {
			return newest, nil
		}
	}
}
