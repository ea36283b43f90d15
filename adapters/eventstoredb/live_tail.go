package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

const (
	// tailEvents bounds the live tail: megabytes of memory, and seconds of a busy log for a slow read model to be behind.
	tailEvents = 4096
	// foreignEvents is how many events of other types a reader lets pass before it takes note of its new place, which is a
	// write to its database: as many as the store searches before it sends a checkpoint.
	foreignEvents = searchWindow * checkpointInterval
)

// errBehindTail says that the live tail does not reach back to a reader's place.
var errBehindTail = errors.New("behind the live tail")

// liveTail is the newest stretch of the log, received and decoded once for all subscribers of a Source that are live. It
// holds all events of the positions (low, high], but for the store's own, and never waits for a reader: who is slower than
// the ring is long falls out of it. It lasts as long as one connection and is not reconnected: a tail that began anew
// might leave a gap between its readers' places and its own.
type liveTail struct {
	stop  context.CancelFunc
	users int // that the tail is kept for; guarded by the Source

	begun chan struct{} // closed when the subscription stands and low is known
	ended chan struct{} // closed when nothing more comes
	err   error         // why it ended; set before ended is closed

	mu      sync.Mutex
	ring    ring
	low     uint64
	high    uint64
	told    uint64 // of the newest checkpoint, which stands for events that the ring does not hold
	readers map[*tailReader]struct{}
}

// useTail gives the tail, begun if need be. It is kept until everybody who uses it has left it.
func (s *Source) useTail(ctx context.Context) (*liveTail, error) {
	s.mu.Lock()
	if s.tail == nil || s.tail.over() {
		s.tail = s.startTail()
	}
	tail := s.tail
	tail.users++
	s.mu.Unlock()

	var err error
	select {
	case <-tail.begun:
		return tail, nil
	case <-tail.ended:
		err = tail.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.leaveTail(tail)
	return nil, err
}

// leaveTail says that a tail is no longer used. The last to leave ends it and waits for its end.
func (s *Source) leaveTail(tail *liveTail) {
	s.mu.Lock()
	tail.users--
	unused := tail.users == 0
	if unused && s.tail == tail {
		s.tail = nil
	}
	s.mu.Unlock()
	if unused {
		tail.stop()
		<-tail.ended
	}
}

func (s *Source) startTail() *liveTail {
	// Not the context of the subscriber that happens to be first: others stay when it leaves.
	ctx, stop := context.WithCancel(context.Background())
	tail := &liveTail{
		stop: stop, begun: make(chan struct{}), ended: make(chan struct{}),
		ring: ring{most: s.tailEvents}, readers: map[*tailReader]struct{}{},
	}
	go func() {
		defer stop()
		tail.err = tail.receive(ctx, s.client, s.codec)
		close(tail.ended)
	}()
	return tail
}

func (t *liveTail) over() bool {
	select {
	case <-t.ended:
		return true
	default:
		return false
	}
}

// receive fills the tail until the connection or ctx ends.
func (t *liveTail) receive(ctx context.Context, client *Client, codec codec) error {
	// A subscription from "the end" would not say where that is, and nobody could tell what the tail covers.
	head, err := client.Head(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	// Not the types of the registry: a subscriber may want one that this program cannot read, to learn of it, and a type
	// left out here would be skipped without anybody noticing.
	subscription, err := client.subscribe(ctx, head, esdb.ExcludeSystemEventsFilter())
	if err != nil {
		return fmt.Errorf("follow the end of the log: %w", err)
	}
	defer func() { _ = subscription.Close() }()
	t.begin(head)
	for {
		happened := subscription.Recv()
		switch {
		case happened.EventAppeared != nil:
			t.add(codec.forProjections(happened.EventAppeared.OriginalEvent()))
		case happened.CheckPointReached != nil:
			t.cover(happened.CheckPointReached.Commit)
		case happened.SubscriptionDropped != nil:
			return fmt.Errorf("live subscription dropped: %w", happened.SubscriptionDropped.Error)
		}
	}
}

// begin says behind which position the tail will hold everything.
func (t *liveTail) begin(head uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.low, t.high, t.told = head, head, head
	close(t.begun)
}

// add takes in the next event and wakes the readers that it concerns.
func (t *liveTail) add(recorded domain.Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if oldest, full := t.ring.add(recorded); full {
		t.low = oldest.Position
	}
	t.high = recorded.Position
	eventType := recorded.Event.EventType()
	for reader := range t.readers {
		if reader.pending++; reader.wanted[eventType] || reader.pending >= foreignEvents {
			reader.notify()
		}
	}
}

// cover takes note that no event of the ring's comes up to position.
func (t *liveTail) cover(position uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if position <= t.high {
		return
	}
	t.high, t.told = position, position
	for reader := range t.readers {
		reader.notify()
	}
}

// covers says whether who has come to position can go on with the tail.
func (t *liveTail) covers(position uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return position >= t.low
}

// join begins to read the tail for the events of wanted types.
func (t *liveTail) join(wanted map[string]bool) *tailReader {
	reader := &tailReader{tail: t, wanted: wanted, news: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers[reader] = struct{}{}
	return reader
}

// tailReader reads the tail for one subscriber. While the subscriber applies a batch, or rests, nothing wakes it.
type tailReader struct {
	tail    *liveTail
	wanted  map[string]bool
	news    chan struct{} // holds one notification at most
	pending int           // events of any type behind the place that was read from last; guarded by the tail
}

func (r *tailReader) leave() {
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	delete(r.tail.readers, r)
}

func (r *tailReader) notify() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// next waits until there is something to deliver behind position, and gives it. It fails with errBehindTail when the tail
// does not reach back that far.
func (r *tailReader) next(ctx context.Context, position uint64) (engine.Batch, error) {
	for {
		if r.tail.over() {
			return engine.Batch{}, r.tail.err
		}
		batch, worth, err := r.read(position)
		if worth || err != nil {
			return batch, err
		}
		select {
		case <-r.news:
		case <-r.tail.ended:
		case <-ctx.Done():
			return engine.Batch{}, ctx.Err()
		}
	}
}

// read gives what the tail holds behind position. It is worth delivering when it has events, or when so much of the log
// has gone by without any that the new place should be remembered.
func (r *tailReader) read(position uint64) (batch engine.Batch, worth bool, err error) {
	t := r.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if position < t.low {
		return batch, false, errBehindTail
	}
	first := t.ring.behind(position)
	r.pending = t.ring.len() - first
	batch.Position = t.high
	for i := first; i < t.ring.len(); i++ {
		recorded := t.ring.at(i)
		if !r.wanted[recorded.Event.EventType()] {
			continue
		}
		if n := len(batch.Events); n == maxBatchEvents {
			batch.Position = batch.Events[n-1].Position
			break
		}
		batch.Events = append(batch.Events, *recorded)
	}
	return batch, len(batch.Events) > 0 || r.pending >= foreignEvents || t.told > position, nil
}

// ring holds the newest events, oldest first. Readers share what the events point to, so nobody may change it.
type ring struct {
	most   int // it holds no more than these
	events []domain.Recorded
	first  int // where the oldest is
}

func (r *ring) len() int { return len(r.events) }

func (r *ring) at(i int) *domain.Recorded { return &r.events[(r.first+i)%len(r.events)] }

// add puts an event at the end; when the ring was full it gives the oldest one, which had to go.
func (r *ring) add(recorded domain.Recorded) (oldest domain.Recorded, full bool) {
	if len(r.events) < r.most {
		r.events = append(r.events, recorded)
		return oldest, false
	}
	oldest, r.events[r.first] = r.events[r.first], recorded
	r.first = (r.first + 1) % len(r.events)
	return oldest, true
}

// behind gives the index of the first event behind position.
func (r *ring) behind(position uint64) int {
	return sort.Search(r.len(), func(i int) bool { return r.at(i).Position > position })
}
