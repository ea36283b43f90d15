package counting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// countRequest is one check that waits to be counted.
type countRequest struct {
	reservation *Reservation
	check       domain.Check
	by          commands.Origin
	handedOver  time.Time

	event domain.CheckCompleted // as which the check is counted; final once it is done
	err   error
	done  sync.WaitGroup
}

// settle answers the request. A place that it held is free: either the call stands in the usage now, or it never will.
// The caller holds the batcher's mu.
func (r *countRequest) settle(event domain.CheckCompleted, err error) {
	r.reservation.giveUpPlace()
	r.answer(event, err)
}

// answer lets the caller go on.
func (r *countRequest) answer(event domain.CheckCompleted, err error) {
	r.event, r.err = event, err
	r.done.Done()
}

// flush counts what waits, batch by batch, until nothing does.
func (b *batcher) flush() {
	defer b.counter.leave(b)
	for {
		b.gather()
		b.mu.Lock()
		batch := b.waiting[:min(len(b.waiting), maxBatch)]
		b.waiting = b.waiting[len(batch):]
		if len(batch) == 0 {
			b.flushing, b.waiting = false, nil
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		b.commit(batch)
	}
}

// gather lets a batch grow while many calls of the subscription are under way: an append costs the same for one call and
// for ten, and who waits for a judge gains what the others do not spend on appends. With up to four calls under way
// nothing waits.
func (b *batcher) gather() {
	if b.worthAnAppend() {
		return
	}
	timeout := time.NewTimer(gatherTimeout)
	defer timeout.Stop()
	for !b.worthAnAppend() {
		select {
		case <-b.joined:
		case <-timeout.C:
			return
		}
	}
}

// worthAnAppend returns whether a quarter of the calls under way waits to be counted.
func (b *batcher) worthAnAppend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quarterWaits()
}

// quarterWaits is worthAnAppend for a caller that holds mu.
func (b *batcher) quarterWaits() bool {
	return int64(4*len(b.waiting)) >= b.reserved || len(b.waiting) == 0
}

const (
	// gatherTimeout is how long a call waits at most for others to be counted with it.
	gatherTimeout = 25 * time.Millisecond
	// maxBatch keeps an append well below the store's limit of 1 MiB.
	maxBatch = 400
	// commitTimeout is how long a batch tries to learn its outcome before its callers are told that it is not known, counted
	// from when the first of them handed its check over; those that waited behind another batch get leastCommitTimeout.
	commitTimeout      = 6 * time.Second
	leastCommitTimeout = 3 * time.Second
)

// commit decides on a batch and appends it, again after every conflict, and answers each of its requests once.
func (b *batcher) commit(batch []*countRequest) {
	timeout := max(commitTimeout-time.Since(batch[0].handedOver), leastCommitTimeout)
	ctx, cancel := context.WithTimeout(b.counter.ctx, timeout)
	defer cancel()
	if err := b.lockState(ctx); err != nil {
		answerAll(batch, err)
		return
	}
	defer b.unlockState()

	var err error
	for {
		if err = b.catchUp(ctx, batch, err); err != nil {
			break
		}
		if batch = b.decide(batch); len(batch) == 0 {
			return
		}
		if err = b.append(ctx, batch); err == nil {
			return
		}
		if !errors.Is(err, commands.ErrConflict) {
			break
		}
	}
	b.mu.Lock()
	b.stale = true
	b.mu.Unlock()
	answerAll(batch, err)
}

// catchUp brings the state to where the batch can be decided on. The subscription may be MaxStaleness old, which
// SwitchOverage outlasts; of the month's stream the append itself finds out whether others have written. Both are read
// when that was the case, or when the batch will not be counted whole: a request may only be refused on the log as it is
// now, and once it is sure that no other node has counted it. The caller holds stateLock.
func (b *batcher) catchUp(ctx context.Context, batch []*countRequest, lost error) error {
	winner, conflicted := commands.ConflictRevision(lost, b.usageRevision)
	if !conflicted && commands.Fresh(b.subAsked, b.counter.now()) && b.takesWhole(batch) {
		return nil
	}
	if err := b.catchUpSubscription(ctx); err != nil {
		return err
	}
	if !conflicted && b.takesWhole(batch) {
		return nil
	}
	if !conflicted {
		return b.catchUpUsage(ctx)
	}
	if winner < b.usageRevision {
		b.forget()
		return b.catchUp(ctx, batch, nil)
	}
	month := b.month()
	return commands.AwaitRevision(ctx, winner, func(ctx context.Context) (int64, error) {
		err := b.catchUpUsage(ctx)
		if b.month() != month { // the batch counts in another month's stream now
			return winner, err
		}
		return b.usageRevision, err
	})
}

// forget makes the batcher start over from the log, which has turned out to be older than what was seen of it: restored from
// a backup, say. The caller holds stateLock.
func (b *batcher) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quota, b.loaded, b.keys = Quota{}, false, map[domain.Month]*monthKeys{}
	b.subRevision, b.subAsked, b.usageRevision = commands.NoStream, time.Time{}, commands.NoStream
}

// month returns the month that the state is of.
func (b *batcher) month() domain.Month {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quota.Usage.Month
}

// takesWhole returns whether all of a batch would be counted as far as is known.
func (b *batcher) takesWhole(batch []*countRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.loaded && !b.stale && b.quota.Usage.Month == domain.MonthOf(b.counter.now())
	return known && b.quota.Usage.Admit(b.quota.Subscription, int64(len(batch)-1)) == nil
}

// decide folds each request into the state as if those before it were counted, and returns those. Requests that are refused,
// or that another node has counted already, are answered here.
func (b *batcher) decide(batch []*countRequest) (counted []*countRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	usage, revision := b.quota.Usage, uint64(max(b.subRevision, 0))
	counted = make([]*countRequest, 0, len(batch))
	for _, request := range batch {
		if prior := request.reservation.prior; prior != nil {
			request.settle(prior.Repeat(request.check.RequestDigest))
			continue
		}
		check := request.check
		if start := usage.Month.Start(); check.At.Before(start) {
			check.At = start // handed over before the month began that it counts in
		}
		event, err := usage.Count(b.quota.Subscription, revision, check)
		if err != nil {
			request.settle(event, err)
			continue
		}
		usage, request.event = usage.Fold(event), event
		counted = append(counted, request)
	}
	return counted
}

// append writes the counted calls and answers them once they are durable.
func (b *batcher) append(ctx context.Context, counted []*countRequest) error {
	proposed := make([]commands.Proposed, len(counted))
	for i, c := range counted {
		proposed[i] = commands.Proposed{
			ID: c.event.CheckID, Event: c.event,
			Meta: domain.Metadata{
				CorrelationID: c.by.CorrelationID, CausationID: c.by.CommandID,
				Actor: c.by.Actor, OccurredAt: c.event.CompletedAt,
			},
		}
	}
	stream := domain.UsageStream(b.id, counted[0].event.Month)
	appended, err := commands.AppendUntilKnown(ctx, b.counter.store, stream, b.usageRevision, proposed)
	if err != nil {
		return fmt.Errorf("append %d checks to %s: %w", len(counted), stream, err)
	}
	if err := b.adopt(ctx, stream, counted); err != nil {
		return err
	}
	b.usageRevision = int64(appended.Revision)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quota.Usage, b.stale = b.quota.Usage.Fold(counted[len(counted)-1].event), false
	for _, c := range counted {
		event, err := c.event.Repeat(c.check.RequestDigest)
		if err != nil { // its caller may know the digest under another secret
			prior := c.event
			c.reservation.prior = &prior
		}
		c.settle(event, err)
	}
	return nil
}

// adopt replaces the events of an append by what the store holds, when these may be others: with the same
// Idempotency-Keys at the same revision, another node's append and this one look alike to the store, which takes the
// second for the first repeated. An id that was drawn, of a check without a key, is in this append alone.
func (b *batcher) adopt(ctx context.Context, stream string, counted []*countRequest) error {
	for _, c := range counted {
		if !c.reservation.keyed {
			return nil
		}
	}
	var page []domain.Recorded
	err := commands.AwaitRevision(ctx, b.usageRevision+int64(len(counted)), func(ctx context.Context) (int64, error) {
		var err error
		page, err = b.counter.store.Read(ctx, stream, uint64(b.usageRevision+1), len(counted))
		return b.usageRevision + int64(len(page)), err
	})
	if err != nil {
		return fmt.Errorf("%w: read back %d checks of %s: %w", commands.ErrOutcomeUnknown, len(counted), stream, err)
	}
	for i, recorded := range page {
		completed, ok := recorded.Event.(domain.CheckCompleted)
		if !ok || !completed.Stands(b.counter.now()) {
			return commands.ErrConflict // what the keys stood for more than a day ago
		}
		counted[i].event = completed
	}
	return nil
}

// What a caller is told whose call may be counted or not.
var (
	errPerhapsCounted = domain.ErrUnavailable.Saying("Whether the call was counted is not known: the service did not learn it in time. " +
		"Sent again, it may be counted twice. Send an Idempotency-Key with every check: then a repetition is not counted again.")
	errPerhapsCountedUnderKey = domain.ErrUnavailable.Saying("Whether the call was counted is not known: the service did not learn it in time. " +
		"Send it again with the same Idempotency-Key, as Retry-After says: it is counted once, and a call that was counted gets its answer.")
)

// answerAll tells that requests could not be counted, or that nobody knows whether they were.
func answerAll(requests []*countRequest, err error) {
	for _, request := range requests {
		switch {
		case !errors.Is(err, commands.ErrOutcomeUnknown):
			request.answer(domain.CheckCompleted{}, commands.Unavailable(err))
		case request.reservation.keyed:
			request.answer(domain.CheckCompleted{}, errPerhapsCountedUnderKey.Because(err))
		default:
			request.answer(domain.CheckCompleted{}, errPerhapsCounted.Because(err))
		}
	}
}
