package inference

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pas-ta/liveness/inference/decode"
)

// Share says for whom an image is judged. While several holders wait they get processor time in proportion to their
// weights; one that is alone gets all of it.
type Share struct {
	Holder string
	Weight float64 // 1 when it is not above 0
}

func (s Share) weight() float64 {
	if s.Weight > 0 {
		return s.Weight
	}
	return 1
}

// queue lets checks be judged in fair order: next is the holder that has had least processor time for its weight. Of a full
// queue the holder that has most in it for its weight gives a place to one that has less.
type queue struct {
	workers, places int
	gaveWay         atomic.Int64

	mu       sync.Mutex
	spares   int // workers beyond those of the configuration, see mayStart
	wanted   func()
	closed   bool
	admitted int
	running  []*turn
	holders  map[string]*holder
	clock    float64 // what the holder whose turn came last had used
	pace     float64 // seconds that a unit of size takes; a moving average

	small, smallBefore arrival // the newest, and the newest of any other holder
}

type holder struct {
	weight  float64
	used    float64 // seconds of processor time, over its weight
	due     float64 // seconds that what is being judged is expected to take
	waiting []*turn // oldest first
	running int
}

// ahead is what a holder will have used when all that is being judged for it is.
func (h *holder) ahead() float64 { return h.used + h.due/h.weight }

// arrival is when a holder last sent an image that is not large.
type arrival struct {
	of *holder
	at time.Time
}

// level is how much of the queue a holder has for its weight, with more turns added.
func (h *holder) level(more int) float64 {
	return float64(len(h.waiting)+h.running+more) / h.weight
}

// turn is one check in the queue.
type turn struct {
	holder *holder
	size   float64
	due    float64    // seconds that it is expected to take
	told   chan error // nil when a worker is free for it
}

// maxIdleHolders bounds how many holders are remembered that wait for nothing.
const maxIdleHolders = 1024

// newQueue makes a queue. wanted is called, once, when a check is first kept waiting by much larger ones: a spare worker
// would judge it at once. It is not to call the queue.
func newQueue(workers, places int, wanted func()) *queue {
	return &queue{workers: workers, places: places, wanted: wanted, holders: map[string]*holder{}, pace: 0.01}
}

// enter waits for a worker. The caller calls leave when it has given the worker back.
func (q *queue) enter(ctx context.Context, share Share, size float64, atMost time.Duration) (*turn, error) {
	t, err := q.admit(share, size)
	if err != nil {
		return nil, err
	}
	select {
	case err := <-t.told:
		return t.granted(err)
	default:
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case err := <-t.told:
		return t.granted(err)
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = ErrOverloaded
	}
	if q.withdraw(t) {
		return nil, err
	}
	// Its turn came, or it was told something else, at the same moment.
	return t.granted(<-t.told)
}

func (t *turn) granted(err error) (*turn, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

// admit gives a check its place.
func (q *queue) admit(share Share, size float64) (*turn, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	h := q.holder(share)
	if q.admitted >= q.places {
		yielding := q.yielding(h)
		if yielding == nil {
			q.forget(share.Holder, h)
			return nil, ErrOverloaded
		}
		newest := len(yielding.waiting) - 1
		yielding.waiting[newest].told <- ErrOverloaded
		yielding.waiting = yielding.waiting[:newest]
		q.admitted--
		q.gaveWay.Add(1)
	}
	if len(h.waiting) == 0 && h.running == 0 {
		h.used = max(h.used, q.clock) // who was away saves nothing up
	}
	t := &turn{holder: h, size: size, told: make(chan error, 1)}
	h.waiting = append(h.waiting, t)
	if size < largeSize {
		if q.small.of != h {
			q.smallBefore = q.small
		}
		q.small = arrival{h, time.Now()}
	}
	q.admitted++
	q.start()
	return t, nil
}

// yielding returns who gives a place of the full queue to h: the one with most for its weight, if it then has not less than
// h. It is nil when h has to do without.
func (q *queue) yielding(h *holder) *holder {
	var most *holder
	for _, other := range q.holders {
		if other != h && len(other.waiting) > 0 && (most == nil || other.level(0) > most.level(0)) {
			most = other
		}
	}
	if most == nil || most.level(-1) < h.level(1) {
		return nil
	}
	return most
}

// admits returns whether one more check of a holder would get a place now.
func (q *queue) admits(share Share) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.admitted < q.places {
		return true
	}
	return q.yielding(q.holder(share)) != nil
}

func (q *queue) holder(share Share) *holder {
	h := q.holders[share.Holder]
	if h == nil {
		if len(q.holders) >= maxIdleHolders {
			q.forgetIdle()
		}
		h = &holder{}
		q.holders[share.Holder] = h
	}
	h.weight = share.weight()
	return h
}

// forget drops a holder that waits for nothing and owes nothing.
func (q *queue) forget(name string, h *holder) {
	if len(h.waiting) == 0 && h.running == 0 && h.used <= q.clock {
		delete(q.holders, name)
	}
}

func (q *queue) forgetIdle() {
	for name, h := range q.holders {
		q.forget(name, h)
	}
}

// start lets checks begin while there are workers for them.
func (q *queue) start() {
	for {
		var next *holder
		for _, h := range q.holders {
			if len(h.waiting) > 0 && q.mayStart(h.waiting[0]) && (next == nil || h.ahead() < next.ahead()) {
				next = h
			}
		}
		if next == nil {
			return
		}
		t := next.waiting[0]
		next.waiting = next.waiting[1:]
		next.running++
		q.running = append(q.running, t)
		q.clock = max(q.clock, next.used) // an expectation may be wrong, and the clock does not go back
		t.due = t.size * q.pace
		next.due += t.due
		t.told <- nil
	}
}

// mayStart returns whether there is a worker for a check. Spare workers are for those that take less than half as long as
// each that is being judged: an image cannot be put aside once a worker has it, so that a few of fifty megapixels would keep
// everybody else waiting for the better part of a second, in whatever order.
func (q *queue) mayStart(t *turn) bool {
	if len(q.running) < q.workers {
		return t.size < largeSize || q.leavesRoom(t.holder)
	}
	for _, other := range q.running {
		if t.size > other.size/2 {
			return false
		}
	}
	if q.wanted != nil {
		q.wanted()
		q.wanted = nil
	}
	return len(q.running) < q.workers+q.spares
}

// smallFor is how long after a small image of a holder the large ones of others leave a worker to it.
const smallFor = time.Second

// leavesRoom returns whether a large image of a holder may take a worker. One at a time always may; the last worker is left to
// small images while others send any: large ones on all processors take caches and memory from a small one between them, however
// low their priority is.
func (q *queue) leavesRoom(h *holder) bool {
	large := 0
	for _, t := range q.running {
		if t.size >= largeSize {
			large++
		}
	}
	if large == 0 || large < q.workers-1 {
		return true
	}
	others := q.small
	if others.of == h {
		others = q.smallBefore
	}
	return time.Since(others.at) >= smallFor // else it is looked at again when one of those that are being judged ends
}

// add makes one more spare worker known.
func (q *queue) add() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spares++
	q.start()
}

// leave ends a turn that took this long on a worker, and says whether that is how long an image of its size takes: one that
// was refused may have taken no time at all.
func (q *queue) leave(t *turn, took time.Duration, judged bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range q.running {
		if other == t {
			q.running = append(q.running[:i], q.running[i+1:]...)
			break
		}
	}
	t.holder.running--
	t.holder.due -= t.due
	t.holder.used += took.Seconds() / t.holder.weight
	if judged {
		q.pace += (took.Seconds()/t.size - q.pace) / 16
	}
	q.admitted--
	q.start()
}

// withdraw takes back a check whose turn has not come; false when it has, or when it was told something else.
func (q *queue) withdraw(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range t.holder.waiting {
		if other == t {
			t.holder.waiting = append(t.holder.waiting[:i], t.holder.waiting[i+1:]...)
			q.admitted--
			q.start() // it may have stood before one that a spare worker is free for
			return true
		}
	}
	return false
}

// close tells everybody who waits that nothing more is judged.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, h := range q.holders {
		for _, t := range h.waiting {
			t.told <- ErrClosed
			q.admitted--
		}
		h.waiting = nil
	}
}

func (q *queue) taken() (now, most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.admitted, q.places
}

const (
	// leastSize is the size of a small image: the models take as long for each.
	leastSize = 1
	// unknownSize is that of an image whose header does not tell it, so that nobody gains by spoiling it, and the most that an
	// image is taken to have: decoders refuse much more unseen.
	unknownSize = 50
)

// sizeOf estimates how long an image takes to be judged, in megapixels of an ordinary photo.
func sizeOf(data []byte) float64 {
	work := decode.Work(data)
	if work == 0 {
		return unknownSize
	}
	return min(max(leastSize, work/1e6), unknownSize)
}
