package persistent

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// storeRetry is how long a group rests after the store refused it something.
const storeRetry = time.Second

// worker runs one group: it reads the source, hands out messages, and makes durable what has to be. One goroutine does all of
// that; consumers' calls only change the group's state and wake it.
type worker struct {
	definition
	store  *store.Store
	logger *slog.Logger
	// checkpointsInLog is Options.CheckpointsInLog.
	checkpointsInLog bool
	now              func() time.Time
	source           *source

	mu          sync.Mutex
	group       *Group
	parked      parked
	replayBelow uint64 // links that a call wants replayed; the goroutine takes it over, as it alone knows the stream's end
	connections []*connection
	woken       bool
	flushing    bool               // the checkpoint is wanted now
	live        bool               // the source was read to its end
	interrupt   context.CancelFunc // of the present rest
	ended       error              // set once the worker takes no more consumers
	measured    int64
	since       time.Time

	retryAt time.Time // the store refused something; not before
	cancel  context.CancelFunc
	stopped chan struct{}
}

// startWorker loads a group that is settled up to a point and starts to run it. The caller ends it with stop.
func startWorker(ctx context.Context, s *store.Store, options Options, d definition, done Point) (*worker, error) {
	parked, err := openParked(ctx, s, d.identity().parkedStream())
	if err != nil {
		return nil, err
	}
	src, err := openSource(s, d, done)
	if err != nil {
		return nil, err
	}
	w := &worker{
		definition: d, store: s, checkpointsInLog: options.CheckpointsInLog, logger: options.Logger.With("stream", d.Source, "group", d.Group), now: time.Now,
		source: src, parked: parked, stopped: make(chan struct{}),
	}
	w.since = w.now()
	w.group = NewGroup(d.Settings, done, d.skipInterval(), w.since)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.cancel = cancel
	go w.run(running)
	return w, nil
}

// stop drops the consumers for a reason, ends the goroutine and writes the checkpoint.
func (w *worker) stop(ctx context.Context, reason error) {
	w.mu.Lock()
	w.ended = reason
	for _, c := range w.connections {
		c.drop(reason)
	}
	w.mu.Unlock()
	w.cancel()
	<-w.stopped
	w.source.close()
	w.flush(ctx)
}

// progress returns how far a stopped group is settled, and whether that is further than where it began.
func (w *worker) progress() (Point, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mark, _ := w.group.Unwritten()
	return mark.Point, mark.Point > w.From
}

// flush writes what is settled and not yet durable. Failing is no loss: the events come again.
func (w *worker) flush(ctx context.Context) {
	w.mu.Lock()
	mark, unwritten := w.group.Unwritten()
	w.mu.Unlock()
	if unwritten {
		w.writeCheckpoint(ctx, mark)
	}
	w.truncateParked(ctx)
}

func (w *worker) run(ctx context.Context) {
	defer close(w.stopped)
	for ctx.Err() == nil {
		if more := w.pass(ctx); !more {
			w.rest(ctx)
		}
	}
}

// pass does all that can be done now, and returns whether there may be more at once.
func (w *worker) pass(ctx context.Context) (more bool) {
	w.mu.Lock()
	w.group.Expire(w.now())
	w.mu.Unlock()

	if w.retryAt.After(w.now()) {
		w.deliver()
		return false
	}
	if more = w.writeParking(ctx); w.retryAt.After(w.now()) {
		return false
	}
	w.readParked(ctx)
	w.readSource(ctx)
	w.deliver()

	w.mu.Lock()
	mark, due := w.group.Checkpoint(w.now())
	if w.flushing {
		mark, due = w.group.Unwritten()
		w.flushing = false
	}
	w.mu.Unlock()
	if due {
		w.writeCheckpoint(ctx, mark)
	}
	w.truncateParked(ctx)
	return (more || w.canRead()) && !w.retryAt.After(w.now())
}

// canRead returns whether there is room for a page of what the source has.
func (w *worker) canRead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.source.atEnd && w.group.Room() >= min(w.Settings.pageLimit(), w.Settings.bufferLimit())
}

func (w *worker) deliver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group.Deliver(w.now(), func(to *Consumer, m *Message) {
		for _, c := range w.connections {
			if c.consumer == to {
				c.push(m)
				return
			}
		}
	})
}

// readSource reads a page when the group has room for one.
func (w *worker) readSource(ctx context.Context) {
	if !w.canRead() {
		return
	}
	found, err := w.source.read(ctx, w.Settings.pageLimit())
	if err != nil {
		w.postpone(ctx, "read events", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range found.messages {
		w.group.Offer(m)
	}
	w.group.Passed(found.passed, found.skipped)
	w.live = w.source.atEnd
}

func (w *worker) readParked(ctx context.Context) {
	for {
		w.mu.Lock()
		w.parked.replay(w.replayBelow)
		w.replayBelow = 0
		room, replaying := w.group.Room(), w.parked.replaying()
		parked := w.parked
		w.mu.Unlock()
		if !replaying || room == 0 {
			return
		}
		messages, next, err := parked.read(ctx, w.source, min(room, parkBatch))
		if err != nil {
			w.postpone(ctx, "read parked messages", err)
			return
		}
		w.mu.Lock()
		for _, m := range messages {
			w.group.Replay(m)
		}
		w.parked.next = next
		w.mu.Unlock()
	}
}

// writeParking moves a batch of messages to the parked stream, and returns whether there are more.
func (w *worker) writeParking(ctx context.Context) bool {
	w.mu.Lock()
	parks := w.group.Parking(parkBatch)
	parked := w.parked
	w.mu.Unlock()
	if len(parks) == 0 {
		return false
	}
	end, err := parked.write(ctx, parks, w.now())
	if err != nil {
		w.postpone(ctx, "park messages", err)
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group.Parked(len(parks))
	w.parked.end = end
	return len(w.group.Parking(1)) > 0
}

// truncateParked removes the links whose messages were replayed and are settled.
func (w *worker) truncateParked(ctx context.Context) {
	w.mu.Lock()
	below := w.parked.next
	if first, replayed := w.group.FirstReplayed(); replayed {
		below = first
	}
	parked := w.parked
	w.mu.Unlock()
	if below <= parked.cut {
		return
	}
	if err := parked.truncate(ctx, below); err != nil {
		w.postpone(ctx, "truncate parked messages", err)
		return
	}
	w.mu.Lock()
	w.parked.cut = below
	w.mu.Unlock()
}

func (w *worker) writeCheckpoint(ctx context.Context, mark Mark) {
	if err := saveCheckpoint(ctx, w.store, w.identity(), mark.Point); err != nil {
		w.postpone(ctx, "write the checkpoint", err)
		return
	}
	if w.checkpointsInLog {
		if err := w.logCheckpoint(ctx, mark.Point); err != nil {
			w.postpone(ctx, "write the checkpoint into the log", err)
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group.Checkpointed(mark, w.now())
}

// postpone lets the group rest after an error of the store, so that a full disk does not make a busy loop.
func (w *worker) postpone(ctx context.Context, what string, err error) {
	w.retryAt = w.now().Add(storeRetry)
	if ctx.Err() == nil {
		w.logger.Error("persistent subscription cannot "+what, "error", err)
	}
}

// rest returns when there is something to do: a call changed the group, new events came, or a time has come.
func (w *worker) rest(ctx context.Context) {
	w.mu.Lock()
	if w.woken {
		w.woken = false
		w.mu.Unlock()
		return
	}
	until, limited := w.group.Next()
	if w.retryAt.After(w.now()) {
		if !limited || until.Before(w.retryAt) {
			until = w.retryAt
		}
		limited = true
	}
	resting, cancel := context.WithCancel(ctx)
	defer cancel()
	if limited {
		timer := time.AfterFunc(until.Sub(w.now()), cancel)
		defer timer.Stop()
	}
	w.interrupt = cancel
	reading := w.source.atEnd && w.group.Room() > 0
	w.mu.Unlock()

	if reading && w.source.wait(resting) == nil {
		w.source.atEnd = false
	} else {
		<-resting.Done()
	}
	w.mu.Lock()
	w.interrupt, w.woken = nil, false
	w.mu.Unlock()
}

// wake makes the goroutine look at the group again. The caller holds mu.
func (w *worker) wake() {
	w.woken = true
	if w.interrupt != nil {
		w.interrupt()
	}
}

// connect adds a consumer. The caller ends it with disconnect.
func (w *worker) connect(bufferSize int, from, name string) (*connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil {
		return nil, w.ended
	}
	consumer, err := w.group.Connect(bufferSize)
	if err != nil {
		return nil, err
	}
	c := newConnection(consumer, from, name, w.now())
	w.connections = append(w.connections, c)
	w.wake()
	return c, nil
}

func (w *worker) disconnect(c *connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.connections {
		if other == c {
			w.connections = append(w.connections[:i:i], w.connections[i+1:]...)
			break
		}
	}
	w.group.Disconnect(c.consumer)
	w.wake()
}

func (w *worker) settle(c *connection, s settlement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group.Settle(c.consumer, s.verdict, s.reason, s.ids...)
	w.wake()
}

// checkpointNow asks for what is settled to be written without waiting for the settings' conditions.
func (w *worker) checkpointNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing = true
	w.wake()
}

// load returns the content of a delivery. It is nil when the delivery is out of date, as after a timeout, and when its event
// is gone, which settles the message.
func (w *worker) load(ctx context.Context, c *connection, d delivery) (*content, error) {
	w.mu.Lock()
	stale := d.stale(c.consumer)
	w.mu.Unlock()
	if stale {
		return nil, nil
	}
	if d.content != nil {
		return d.content, nil
	}
	found, err := w.source.load(ctx, d.message.Stream, d.message.Revision, d.message.Replayed)
	if err != nil || found != nil {
		return found, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group.Gone(c.consumer, d.message)
	w.wake()
	return nil, nil
}

// replay asks for parked messages with numbers below stopAt to be delivered again. A link may be in the stream, and seen by the
// caller, before the goroutine that wrote it has counted it.
func (w *worker) replay(stopAt uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replayBelow = max(w.replayBelow, min(stopAt, math.MaxInt64))
	w.wake()
}
