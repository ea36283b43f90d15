package counting

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Reservation is the right of one request to be counted. Release it whatever happens.
type Reservation struct {
	batcher *batcher
	owner   KeyOwner
	checkID uuid.UUID
	keyed   bool                   // the request has an Idempotency-Key
	prior   *domain.CheckCompleted // the request was counted before; guarded by batcher.mu
	ended   chan struct{}          // closed by Release; a duplicate waits for it
	held    bool                   // a place below the limit is reserved; guarded by batcher.mu
	handed  bool                   // over to be counted
}

// Begin admits a request before its image is read: it refuses when the subscription serves no calls, or when the limit is
// used up, by calls counted or under way, and the setting is "stop". A refusal is decided on the log as it is now.
// A request whose Idempotency-Key was used before is admitted without a place; Prior then has its first answer.
func (c *UsageCounter) Begin(ctx context.Context, owner KeyOwner, idempotencyKey string) (*Reservation, error) {
	b, err := c.enter(owner.SubscriptionID)
	if err != nil {
		return nil, err
	}
	reservation := &Reservation{batcher: b, owner: owner, checkID: uuid.New(), ended: make(chan struct{})}
	if idempotencyKey != "" {
		reservation.checkID, reservation.keyed = domain.CheckIDForIdempotencyKey(owner.SubscriptionID, idempotencyKey), true
		if err := reservation.claimKey(ctx); err != nil {
			c.leave(b)
			return nil, err
		}
	}
	if err := reservation.reserve(ctx); err != nil {
		reservation.Release()
		return nil, err
	}
	return reservation, nil
}

// reserve takes a place below the limit. What memory would refuse is looked up in the log first: the customer may have
// switched the setting, changed the plan, or a new month may have begun.
func (r *Reservation) reserve(ctx context.Context) error {
	b := r.batcher
	tryReserve := func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.prior != nil {
			return nil
		}
		if !b.loaded || b.stale || b.quota.Usage.Month != domain.MonthOf(b.counter.now()) {
			return errStale
		}
		if err := b.quota.Usage.Admit(b.quota.Subscription, b.reserved); err != nil {
			return err
		}
		b.reserved++
		r.held = true
		return nil
	}
	if err := tryReserve(); err == nil {
		return nil
	}
	if _, err := b.refresh(ctx); err != nil {
		return err
	}
	if err := tryReserve(); !errors.Is(err, errStale) {
		return err
	}
	return domain.ErrUnavailable.Because(errStale)
}

var errStale = errors.New("usage is not loaded")

// Count makes the judgement a counted call and returns once that is durable.
func (r *Reservation) Count(ctx context.Context, by commands.Origin, digest string, judgement domain.Judgement) (domain.CheckCompleted, error) {
	b := r.batcher
	r.handed = true
	request := &countRequest{
		reservation: r, by: by, handedOver: time.Now(),
		check: domain.Check{ID: r.checkID, KeySlot: r.owner.Slot, Judgement: judgement, At: b.counter.now()},
	}
	if r.keyed {
		request.check.RequestDigest = digest
	}
	request.done.Add(1)
	b.mu.Lock()
	b.waiting = append(b.waiting, request)
	start, enough := !b.flushing, b.quarterWaits()
	b.flushing = true
	b.mu.Unlock()
	if enough {
		select {
		case b.joined <- struct{}{}:
		default:
		}
	}
	if start {
		b.counter.retain(b)
		go b.flush() // leaves the batcher when nothing waits any more
	}
	// The caller's context does not end the wait: once handed over, the check may become durable at any moment, and an
	// answer that says otherwise would be wrong. commitTimeout bounds it.
	request.done.Wait()
	return request.event, request.err
}

// HandedOver returns whether the call was handed over to be counted: only before that it is certain, whatever happens, that
// it is not.
func (r *Reservation) HandedOver() bool { return r.handed }

// Release gives the place back and lets a duplicate of the request go on. It may be called once.
func (r *Reservation) Release() {
	b := r.batcher
	b.mu.Lock()
	r.giveUpPlace()
	b.mu.Unlock()
	if r.keyed {
		r.forgetKey()
	}
	b.counter.leave(b)
}

// giveUpPlace frees the place below the limit, if one is held. The caller holds the batcher's mu.
func (r *Reservation) giveUpPlace() {
	if r.held {
		r.held = false
		r.batcher.reserved--
	}
}
