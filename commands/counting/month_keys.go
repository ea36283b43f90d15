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

// monthKeys is what a node has read of one month's stream for the Idempotency-Keys in it. The part that the index lacks is so
// read once, instead of with every check, also while no worker brings the index up to the log.
//
// It holds the calls of the revisions from up to, and without, to that had a key and may still stand for it. What others have
// appended since is read with every search.
type monthKeys struct {
	store  commands.EventStore
	stream string
	now    func() time.Time

	filling chan struct{} // held, as a token, by who reads what lies before from

	mu       sync.Mutex // guards what follows
	begun    bool
	from, to int64
	calls    map[uuid.UUID]keyedCall
	sweepAt  int // how many calls there are when those that are of no use any more are dropped
}

// keyedCall is the newest call that was counted under an Idempotency-Key.
type keyedCall struct {
	ordinal     int64
	completedAt time.Time
}

const (
	// clockMargin is by how much the clocks of nodes may differ for each to find what stands for a key on any: what is left out
	// as too old is so on all, and a month that has begun on one is looked at on all.
	clockMargin = time.Hour
	// leastSweep is how many calls are kept without asking whether they are of use.
	leastSweep = 1024
)

func newMonthKeys(store commands.EventStore, stream string, now func() time.Time) *monthKeys {
	return &monthKeys{store: store, stream: stream, now: now, filling: make(chan struct{}, 1), calls: map[uuid.UUID]keyedCall{}, sweepAt: leastSweep}
}

// find returns the number of the newest call that was counted under id behind those that are indexed; 0 when there is none, or
// none that stands any more. A call that was counted before find was called is found.
func (k *monthKeys) find(ctx context.Context, indexed int64, id uuid.UUID) (ordinal int64, err error) {
	for {
		whole, err := k.begin(ctx, indexed)
		if err == nil && !whole {
			err = k.readOn(ctx, indexed)
		}
		if err != nil {
			return 0, err
		}
		if err := k.readBack(ctx, indexed); err != nil {
			return 0, err
		}
		if ordinal, known := k.ordinalOf(id, indexed); known {
			return ordinal, nil
		}
	}
}

// ordinalOf returns what is known of id; false when others, for whom more is indexed, have dropped what lies before that.
func (k *monthKeys) ordinalOf(id uuid.UUID, indexed int64) (ordinal int64, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls[id].ordinal, k.from <= indexed
}

// begin starts behind what is indexed, unless what is known reaches so far. As a rule the end of the stream is a page away at
// most: whole says that it was read. Behind an index that is further away it starts at the end.
func (k *monthKeys) begin(ctx context.Context, indexed int64) (whole bool, err error) {
	if k.reaches(indexed) {
		return false, nil
	}
	page, err := k.store.Read(ctx, k.stream, uint64(indexed), commands.PageSize)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", k.stream, err)
	}
	whole = len(page) < commands.PageSize
	from, to := indexed, indexed+int64(len(page))
	if !whole {
		last, _, err := k.store.ReadLast(ctx, k.stream)
		if err != nil {
			return false, fmt.Errorf("read %s: %w", k.stream, err)
		}
		from = max(to, int64(last.Revision))
		to, page = from, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reachesLocked(indexed) {
		return false, nil // by somebody else meanwhile
	}
	k.begun, k.from, k.to = true, from, to
	clear(k.calls)
	k.take(page, indexed)
	return whole, nil
}

func (k *monthKeys) reaches(indexed int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reachesLocked(indexed)
}

// reachesLocked is reaches for a caller that holds mu.
func (k *monthKeys) reachesLocked(indexed int64) bool { return k.begun && k.to >= indexed }

// readOn takes in what has come since the last search.
func (k *monthKeys) readOn(ctx context.Context, indexed int64) error {
	for {
		k.mu.Lock()
		from := k.to
		k.mu.Unlock()
		page, err := k.store.Read(ctx, k.stream, uint64(from), commands.PageSize)
		if err != nil {
			return fmt.Errorf("read %s: %w", k.stream, err)
		}
		k.mu.Lock()
		k.take(page, indexed)
		k.to = max(k.to, from+int64(len(page)))
		k.mu.Unlock()
		if len(page) < commands.PageSize {
			return nil
		}
	}
}

// readBack takes in what lies before, back to what is indexed, or to what stands no more. One at a time does; what it has read
// stays known also when it is not given the time to finish.
func (k *monthKeys) readBack(ctx context.Context, indexed int64) error {
	if k.before(indexed) == indexed {
		return nil
	}
	select {
	case k.filling <- struct{}{}:
		defer func() { <-k.filling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		before := k.before(indexed)
		if before == indexed {
			return nil
		}
		from := max(indexed, before-commands.PageSize)
		page, err := k.store.Read(ctx, k.stream, uint64(from), int(before-from))
		if err != nil {
			return fmt.Errorf("read %s: %w", k.stream, err)
		}
		k.mu.Lock()
		k.take(page, indexed)
		if len(page) == 0 || !k.mayStand(page[0].Event) {
			from = 0 // nor does anything before
		}
		if before >= k.from { // else somebody has started further on meanwhile, and between here and there is a gap
			k.from = min(k.from, from)
		}
		k.mu.Unlock()
	}
}

// before returns up to where the stream is not known behind what is indexed.
func (k *monthKeys) before(indexed int64) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.from, indexed)
}

// take adds the calls of a page. The caller holds mu.
func (k *monthKeys) take(page []domain.Recorded, indexed int64) {
	for _, recorded := range page {
		e, ok := recorded.Event.(domain.CheckCompleted)
		if ok && e.RequestDigest != "" && e.Ordinal > k.calls[e.CheckID].ordinal && k.mayStand(e) {
			k.calls[e.CheckID] = keyedCall{e.Ordinal, e.CompletedAt}
		}
	}
	if len(k.calls) < k.sweepAt {
		return
	}
	k.from = max(k.from, indexed)
	for id, call := range k.calls {
		if call.ordinal <= indexed || !k.mayStand(domain.CheckCompleted{CompletedAt: call.completedAt}) {
			delete(k.calls, id)
		}
	}
	k.sweepAt = max(leastSweep, 2*len(k.calls))
}

// mayStand returns whether a call may stand for its Idempotency-Key on some node.
func (k *monthKeys) mayStand(event domain.Event) bool {
	e, ok := event.(domain.CheckCompleted)
	return ok && e.Stands(k.now().Add(-clockMargin))
}
