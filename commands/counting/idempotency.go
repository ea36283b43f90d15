package counting

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// claimKey makes this the only request under way with its Idempotency-Key, after waiting for one that is, and looks
// whether the key was used before.
func (r *Reservation) claimKey(ctx context.Context) error {
	b := r.batcher
	for {
		b.mu.Lock()
		first := b.inFlight[r.checkID]
		if first == nil {
			b.inFlight[r.checkID] = r
			b.mu.Unlock()
			break
		}
		b.mu.Unlock()
		select {
		case <-first.ended:
		case <-ctx.Done():
			return keyUnknown(ctx.Err())
		}
	}
	prior, err := b.findPrior(ctx, r.checkID)
	if err != nil {
		r.forgetKey()
		return keyUnknown(err)
	}
	b.mu.Lock()
	if r.prior == nil {
		r.prior = prior
	}
	b.mu.Unlock()
	return nil
}

var errKeyUnknown = domain.ErrUnavailable.Saying("Whether an earlier request with this Idempotency-Key was counted cannot be told now; " +
	"this one was not. Send it again with the same key, as Retry-After says.")

// keyUnknown tells the caller that it cannot be found out now whether an Idempotency-Key was used before.
func keyUnknown(err error) error {
	unavailable := commands.Unavailable(err)
	if errors.Is(unavailable, domain.ErrUnavailable) {
		return errKeyUnknown.Because(err)
	}
	return unavailable
}

func (r *Reservation) forgetKey() {
	r.batcher.mu.Lock()
	delete(r.batcher.inFlight, r.checkID)
	r.batcher.mu.Unlock()
	close(r.ended)
}

// Prior returns the first answer to a request that was counted before. Its digest must be that of the first request.
func (r *Reservation) Prior(digest string) (event domain.CheckCompleted, found bool, err error) {
	r.batcher.mu.Lock()
	prior := r.prior
	r.batcher.mu.Unlock()
	if prior == nil {
		return domain.CheckCompleted{}, false, nil
	}
	event, err = prior.Repeat(digest)
	return event, true, err
}

// findPriors looks again for every check under way with an Idempotency-Key. It is called when the last event of a month
// alone is read, so that what other nodes have counted before it is not seen event by event. The caller holds stateLock.
//
// One case stays open: the same key under way on two nodes while the month ends, and one of them still counting in the old
// month, its clock behind or the outcome of its append unknown, when the other counts in the new one.
func (b *batcher) findPriors(ctx context.Context) error {
	b.mu.Lock()
	var open []*Reservation
	for _, reservation := range b.inFlight {
		if reservation.prior == nil {
			open = append(open, reservation)
		}
	}
	b.mu.Unlock()
	for _, reservation := range open {
		prior, err := b.findPrior(ctx, reservation.checkID)
		if err != nil {
			return fmt.Errorf("look for an earlier check: %w", err)
		}
		b.mu.Lock()
		reservation.prior = prior
		b.mu.Unlock()
	}
	return nil
}

// findPrior looks for a check that was counted under id and still stands for its key: in the index as far as it has come,
// and from there on in what is known of the log.
func (b *batcher) findPrior(ctx context.Context, id uuid.UUID) (*domain.CheckCompleted, error) {
	now := b.counter.now()
	for _, month := range domain.IdempotencyMonths(now, clockMargin) {
		prior, err := b.findInMonth(ctx, month, id)
		if err != nil || prior != nil && prior.Stands(now) {
			return prior, err
		}
	}
	return nil, nil
}

func (b *batcher) findInMonth(ctx context.Context, month domain.Month, id uuid.UUID) (*domain.CheckCompleted, error) {
	ordinal, _, indexed, err := b.counter.index.FindCheck(ctx, b.id, month, id)
	if err != nil {
		return nil, err
	}
	keys := b.keysOf(month)
	later, err := keys.find(ctx, indexed, id)
	if err != nil {
		return nil, err
	}
	if ordinal = max(ordinal, later); ordinal == 0 {
		return nil, nil
	}
	// An ordinal is the revision plus one: the stream holds nothing but counted calls.
	page, err := b.counter.store.Read(ctx, keys.stream, uint64(ordinal-1), 1)
	if err != nil {
		return nil, err
	}
	for _, recorded := range page {
		if completed, ok := recorded.Event.(domain.CheckCompleted); ok && completed.CheckID == id {
			return &completed, nil
		}
	}
	return nil, nil
}

// keysOf returns what is known of a month's Idempotency-Keys. Of older months than may be asked for nothing is kept.
func (b *batcher) keysOf(month domain.Month) *monthKeys {
	b.mu.Lock()
	defer b.mu.Unlock()
	wanted := domain.IdempotencyMonths(b.counter.now(), clockMargin)
	maps.DeleteFunc(b.keys, func(m domain.Month, _ *monthKeys) bool { return !slices.Contains(wanted, m) })
	keys := b.keys[month]
	if keys == nil {
		keys = newMonthKeys(b.counter.store, domain.UsageStream(b.id, month), b.counter.now)
		b.keys[month] = keys
	}
	return keys
}
