package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// countRequest is one check that waits to be counted.
type countRequest struct {
	ticket *Ticket
	check  domain.Check
	by     Origin
	done   chan countOutcome // buffered: the flush never waits for a caller that has left

	handedOver time.Time
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
		l.gather()
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

// gather lets a batch grow while many calls of the subscription are under way: an append costs the same for one call and
// for ten, and who waits for a judge gains what the others do not spend on appends. With up to four calls under way
// nothing waits.
func (l *lane) gather() {
	if l.worthAnAppend() {
		return
	}
	patience := time.NewTimer(gatherPatience)
	defer patience.Stop()
	for !l.worthAnAppend() {
		select {
		case <-l.joined:
		case <-patience.C:
			return
		}
	}
}

// worthAnAppend says whether a quarter of the calls under way waits to be counted.
func (l *lane) worthAnAppend() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quarterWaits()
}

// quarterWaits is worthAnAppend for a caller that holds mu.
func (l *lane) quarterWaits() bool {
	return int64(4*len(l.waiting)) >= l.reserved || len(l.waiting) == 0
}

const (
	// gatherPatience is how long a call waits at most for others to be counted with it.
	gatherPatience = 25 * time.Millisecond
	// maxBatch keeps an append well below the store's limit of 1 MiB.
	maxBatch = 400
	// commitTimeout is how long a batch tries to learn its outcome before its callers are told that it is not known, counted
	// from when the first of them handed its check over; those that waited behind another batch get leastCommitTimeout.
	commitTimeout      = 6 * time.Second
	leastCommitTimeout = 3 * time.Second
)

// commit decides on a batch and appends it, again after every conflict, and answers each of its requests once.
func (l *lane) commit(batch []*countRequest) {
	timeout := max(commitTimeout-time.Since(batch[0].handedOver), leastCommitTimeout)
	ctx, cancel := context.WithTimeout(l.counter.ctx, timeout)
	defer cancel()
	if err := l.lockState(ctx); err != nil {
		answerAll(batch, Unavailable(err))
		return
	}
	defer l.unlockState()

	var err error
	for {
		if err = l.catchUp(ctx, batch, err); err != nil {
			break
		}
		counted := l.decide(batch)
		if len(counted) == 0 {
			return
		}
		batch = requestsOf(counted)
		if err = l.append(ctx, counted); err == nil {
			return
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	l.mu.Lock()
	l.stale = true
	l.mu.Unlock()
	answerAll(batch, Unavailable(err))
}

// catchUp brings the state to where the batch can be decided on. The subscription may be MaxStaleness old, which
// SwitchOverage outlasts; of the month's stream the append itself finds out whether others have written. Both are read
// when that was the case, or when the batch will not be counted whole: a request may only be refused on the log as it is
// now, and once it is sure that no other node has counted it. The caller holds stateLock.
func (l *lane) catchUp(ctx context.Context, batch []*countRequest, lost error) error {
	winner, conflicted := ConflictRevision(lost, l.usageRevision)
	if !conflicted && Fresh(l.subAsked, l.counter.now()) && l.takesWhole(batch) {
		return nil
	}
	if err := l.catchUpSubscription(ctx); err != nil {
		return err
	}
	if !conflicted && l.takesWhole(batch) {
		return nil
	}
	if !conflicted {
		return l.catchUpUsage(ctx)
	}
	if winner < l.usageRevision {
		l.forget()
		return l.catchUp(ctx, batch, nil)
	}
	month := l.month()
	return AwaitRevision(ctx, winner, func(ctx context.Context) (int64, error) {
		err := l.catchUpUsage(ctx)
		if l.month() != month { // the batch counts in another month's stream now
			return winner, err
		}
		return l.usageRevision, err
	})
}

// forget makes the lane start over from the log, which has turned out to be older than what was seen of it: restored from
// a backup, say. The caller holds stateLock.
func (l *lane) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.standing, l.loaded = Standing{}, false
	l.subRevision, l.subAsked, l.usageRevision = NoStream, time.Time{}, NoStream
}

// month returns the month that the state is of.
func (l *lane) month() domain.Month {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing.Usage.Month
}

// takesWhole says whether all of a batch would be counted as far as is known.
func (l *lane) takesWhole(batch []*countRequest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.loaded && !l.stale && l.standing.Usage.Month == domain.MonthOf(l.counter.now())
	return known && l.standing.Usage.Admit(l.standing.Subscription, int64(len(batch)-1)) == nil
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
	appended, err := AppendUntilKnown(ctx, l.counter.store, stream, l.usageRevision, proposed)
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
	var page []domain.Recorded
	err := AwaitRevision(ctx, l.usageRevision+int64(len(counted)), func(ctx context.Context) (int64, error) {
		var err error
		page, err = l.counter.store.Read(ctx, stream, uint64(l.usageRevision+1), len(counted))
		return l.usageRevision + int64(len(page)), err
	})
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
