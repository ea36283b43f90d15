package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

const (
	// tailEvents bounds the live tail: megabytes of memory, and seconds of a busy log for a slow read model to be behind.
	tailEvents = 4096
	// A reader that has nothing to deliver takes note of its new place, which is a write to its database, after foreignEvents,
	// or placeInterval after the first of them.
	foreignEvents = searchWindow * checkpointInterval
	placeInterval = time.Second
	// hurryTime is for how long readers take note of each new place after somebody has said to wait for one.
	hurryTime = time.Second
)

// errBehindTail says that the live tail does not reach back to a reader's place.
var errBehindTail = errors.New("behind the live tail")

// liveTail is the newest stretch of the log, received and decoded once for all subscribers of a Source that are live. It
// holds all events of ours of the positions (low, high], and never waits for a reader: who is slower than the ring is long
// falls out of it.
//
// Its subscription has no filter. So its place is the position of the last event received, whosever that is, and needs no
// checkpoint; and when the connection is lost, the next begins behind that place without a gap that a reader could notice.
type liveTail struct {
	source *Source
	stop   context.CancelFunc
	users  int // that the tail is kept for; guarded by the Source

	ended chan struct{} // closed when nothing more comes
	err   error         // why it ended; set before ended is closed

	mu         sync.Mutex
	connection *connection // the present one, or the next
	begun      bool        // low and high are known
	ring       ring
	low        uint64
	high       uint64
	mark       *engine.Mark // the newest event of ours that the log does not forget; nil before the first
	received   uint64       // events of any kind
	hurried    time.Time    // until when a new place is delivered at once
	readers    map[*tailReader]struct{}
}

// connection is one time that the tail is connected for.
type connection struct {
	stands, lost chan struct{} // closed when that happens
}

func newConnection() *connection {
	return &connection{stands: make(chan struct{}), lost: make(chan struct{})}
}

func (c *connection) isLost() bool { return isClosed(c.lost) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// useTail returns the tail, begun if need be. It is kept until everybody who uses it has left it.
func (s *Source) useTail() *liveTail {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail == nil || s.tail.over() {
		s.tail = s.startTail()
	}
	s.tail.users++
	return s.tail
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

func newTail(source *Source, events int) *liveTail {
	return &liveTail{
		source: source, ended: make(chan struct{}), connection: newConnection(),
		ring: ring{most: events}, readers: map[*tailReader]struct{}{},
	}
}

func (s *Source) startTail() *liveTail {
	tail := newTail(s, s.tailEvents)
	// Not the context of the subscriber that happens to be first: others stay when it leaves.
	ctx, stop := context.WithCancel(context.Background())
	tail.stop = stop
	go func() {
		defer stop()
		tail.err = tail.run(ctx)
		close(tail.ended)
	}()
	return tail
}

func (t *liveTail) over() bool { return isClosed(t.ended) }

// run fills the tail until ctx ends, or the log turns out to be another one. It alone says that the log is lost: once for
// everybody who follows it.
func (t *liveTail) run(ctx context.Context) error {
	retry := newBackOff()
	for outage := false; ; {
		stood, err := t.receive(ctx, outage)
		if ctx.Err() != nil || errors.Is(err, engine.ErrOtherLog) {
			return err
		}
		tooSlow := isTooSlow(err)
		level := slog.LevelDebug
		if !tooSlow && (stood || !outage) {
			level = slog.LevelWarn
		}
		outage = !tooSlow
		if stood {
			retry.Reset()
		}
		wait := retry.NextBackOff()
		t.source.log.Log(ctx, level, "read models have lost the log and reconnect", "wait", wait, "error", err)
		_ = commands.Sleep(ctx, wait)
	}
}

// isTooSlow returns whether a server up to 23.10 has ended a live subscription because its buffer was full, as it does now and
// then on a busy log. Newer ones let it catch up.
func isTooSlow(err error) bool { return status.Code(err) == codes.Aborted }

// receive fills the tail until the connection or ctx ends. It returns whether the connection stood.
func (t *liveTail) receive(ctx context.Context, outage bool) (stood bool, err error) {
	place, begun := t.place()
	// A subscription from "the end" would not say where that is, and nobody could tell what the tail covers.
	head, err := t.source.reach(ctx, place)
	if err != nil {
		return false, err
	}
	if !begun {
		place = head
	}
	if err := t.recognise(ctx); err != nil {
		return false, err
	}
	subscription, err := t.source.client.subscribe(ctx, place, nil)
	if err != nil {
		return false, fmt.Errorf("follow the end of the log: %w", err)
	}
	defer func() { _ = subscription.Close() }()
	t.connect(place)
	defer t.disconnect()
	if outage {
		t.source.log.Info("read models follow the log again")
	}
	for {
		message := subscription.Recv()
		switch {
		case message.EventAppeared != nil:
			if raw := message.EventAppeared.OriginalEvent(); t.source.owns(raw) {
				t.add(t.source.codec.forProjections(raw))
			} else {
				t.pass(raw.Position.Commit)
			}
		case message.SubscriptionDropped != nil:
			return true, fmt.Errorf("live subscription dropped: %w", lacks(readAll, t.source.client.storeError(message.SubscriptionDropped.Error)))
		}
	}
}

// recognise fails with engine.ErrOtherLog when the log lacks what the tail has received: it was exchanged while the connection was
// lost, and has grown beyond the tail's place since.
func (t *liveTail) recognise(ctx context.Context) error {
	t.mu.Lock()
	mark := t.mark
	t.mu.Unlock()
	if mark == nil {
		return nil
	}
	held, err := engine.HoldsWithin(ctx, t.source, *mark, t.source.shortTimeout)
	if err == nil && !held {
		err = fmt.Errorf("%w: event %s was received from position %d of the log, and is not there any more", engine.ErrOtherLog, mark.ID, mark.Position)
	}
	return err
}

func (t *liveTail) place() (position uint64, begun bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.high, t.begun
}

// position returns where the tail ends: a position that the log is known to reach.
func (t *liveTail) position() uint64 {
	position, _ := t.place()
	return position
}

// connect says that the tail holds everything behind position from now on; it begins there when it has not begun yet.
func (t *liveTail) connect(position uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun, t.low, t.high = true, position, position
	}
	close(t.connection.stands)
}

func (t *liveTail) disconnect() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.connection.lost)
	t.connection = newConnection()
}

// connected waits until the tail is connected.
func (t *liveTail) connected(ctx context.Context) (*connection, error) {
	t.mu.Lock()
	connection := t.connection
	t.mu.Unlock()
	select {
	case <-connection.stands:
		return connection, nil
	case <-t.ended:
		return connection, t.err
	case <-ctx.Done():
		return connection, ctx.Err()
	}
}

// add takes in the next event of ours and wakes the readers that want it.
func (t *liveTail) add(recorded domain.Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if recorded.Position <= t.high {
		return
	}
	if oldest, full := t.ring.add(recorded); full {
		t.low = oldest.Position
	}
	if mark := engine.MarkOf([]domain.Recorded{recorded}); mark != nil {
		t.mark = mark
	}
	t.advance(recorded.Position, recorded.Event.EventType())
}

// pass takes note of an event that is nobody's: of another program or of the store itself.
func (t *liveTail) pass(position uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if position > t.high {
		t.advance(position, "")
	}
}

// advance moves the end. A reader that does not want the event is woken by the first of such, to take note of its place in
// a while, and then when they are many.
func (t *liveTail) advance(position uint64, eventType string) {
	t.high = position
	t.received++
	hurries := t.hurries()
	for reader := range t.readers {
		if unnoted := t.received - reader.noted; unnoted == 1 || unnoted >= foreignEvents || hurries || reader.wanted[eventType] {
			reader.notify()
		}
	}
}

// hurry makes readers deliver their place as soon as it moves, for hurryTime; the pause behind a batch keeps them from doing
// so for every event.
func (t *liveTail) hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hurried = time.Now().Add(hurryTime)
	for reader := range t.readers {
		reader.notify()
	}
}

// hurries returns whether a new place is to be delivered at once. The caller holds mu.
func (t *liveTail) hurries() bool { return !t.hurried.IsZero() && time.Now().Before(t.hurried) }

// join begins to read the tail for the events of wanted types.
func (t *liveTail) join(wanted map[string]bool) *tailReader {
	reader := &tailReader{tail: t, wanted: wanted, news: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	reader.noted = t.received
	t.readers[reader] = struct{}{}
	return reader
}

// tailReader reads the tail for one subscriber. While the subscriber applies a batch, or pauses, nothing wakes it.
type tailReader struct {
	tail   *liveTail
	wanted map[string]bool
	news   chan struct{} // holds one notification at most
	noted  uint64        // how many events the tail had received at the place that was delivered last; guarded by the tail
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

// next waits until there is something to deliver behind position, and returns it. It fails with errBehindTail when the tail
// does not reach back that far.
func (r *tailReader) next(ctx context.Context, position uint64) (engine.Batch, error) {
	var due <-chan time.Time
	for isDue := false; ; {
		if r.tail.over() {
			return engine.Batch{}, r.tail.err
		}
		batch, worth, err := r.read(position, isDue)
		if worth || err != nil {
			return batch, err
		}
		if due == nil && batch.Position > position {
			timer := time.NewTimer(placeInterval)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-r.news:
		case <-due:
			isDue = true
		case <-r.tail.ended:
		case <-ctx.Done():
			return engine.Batch{}, ctx.Err()
		}
	}
}

// read returns what the tail holds behind position. It is worth delivering when it has events, or when the new place should
// be noted: because it is due, or somebody waits, or so much of the log has gone by.
func (r *tailReader) read(position uint64, due bool) (batch engine.Batch, worth bool, err error) {
	t := r.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if position < t.low {
		return batch, false, errBehindTail
	}
	batch.Position = max(position, t.high)
	for i := t.ring.behind(position); i < t.ring.len(); i++ {
		recorded := t.ring.at(i)
		if !r.wanted[recorded.Event.EventType()] {
			continue
		}
		if n := len(batch.Events); n == maxBatchEvents {
			batch.Position = batch.Events[n-1].Position
			return batch, true, nil
		}
		batch.Events = append(batch.Events, *recorded)
	}
	moved := batch.Position > position
	worth = len(batch.Events) > 0 || moved && (due || t.hurries() || t.received-r.noted >= foreignEvents)
	if worth || !moved {
		r.noted = t.received
	}
	return batch, worth, nil
}
