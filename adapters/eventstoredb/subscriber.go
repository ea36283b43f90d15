package eventstoredb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/projections/engine"
)

// subscriber is a Watermill subscriber whose messages are batches. It keeps the order of the log and loses nothing; it
// delivers a batch again after a Nack, and again after a reconnection when the checkpoint has not moved past it.
type subscriber struct {
	source     *Source
	name       string
	eventTypes []string
	wanted     map[string]bool
	from       func(context.Context) (engine.Place, error)

	mu      sync.Mutex
	closed  bool
	stops   []context.CancelFunc
	running sync.WaitGroup
}

const (
	// maxBatchEvents bounds a batch, and with it the size of a projection's transaction.
	maxBatchEvents = 2000
	// liveInterval is Source.LiveInterval where nobody says otherwise. Without it each event of a busy log would be a transaction of
	// its own, at the cost of the checks that the events come from. After a quiet moment there is nothing to wait for.
	liveInterval = 200 * time.Millisecond
	smallBatch   = 100
	// historyInterval is the same while history is read. What comes next is on its way already: by then receiveAhead events
	// are there, and a longer wait would only hold up a rebuild.
	historyInterval = 50 * time.Millisecond
	// redeliveryInterval follows a Nack.
	redeliveryInterval = 500 * time.Millisecond
)

var errSubscriberClosed = errors.New("the subscriber is closed")

// Subscribe delivers batches until ctx ends or the subscriber is closed. The topic is not used: what is followed was
// said when the subscriber was made.
func (s *subscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	if !s.begin(cancel) {
		cancel()
		return nil, errSubscriberClosed
	}
	if err := s.check(ctx); err != nil {
		cancel()
		s.running.Done()
		return nil, err
	}
	messages := make(chan *message.Message)
	go func() {
		defer s.running.Done()
		defer cancel()
		defer close(messages)
		s.run(ctx, messages)
	}()
	return messages, nil
}

func (s *subscriber) begin(stop context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.stops = append(s.stops, stop)
	s.running.Add(1)
	return true
}

// Close ends all subscriptions and waits for them.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, stop := range s.stops {
		stop()
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// check refuses a log that ends before the checkpoint. Whether that is so may not be known yet; then it is found out later.
func (s *subscriber) check(ctx context.Context) error {
	place, err := s.from(ctx)
	if err != nil {
		return nil //nolint:nilerr // whoever follows tries again
	}
	if _, err := s.source.reach(ctx, place.Position); errors.Is(err, engine.ErrOtherLog) {
		return err
	}
	return nil
}

// run follows the log, and again from the checkpoint on whenever it could not go on, until ctx ends or the log turns out to
// be another one; then subscribing again fails.
func (s *subscriber) run(ctx context.Context, messages chan<- *message.Message) {
	r := &reader{subscriber: s, messages: messages, tail: s.source.useTail()}
	defer func() { s.source.leaveTail(r.tail) }()
	retry := newBackOff()
	for warned := false; ; {
		if r.tail.over() {
			s.source.leaveTail(r.tail)
			r.tail = s.source.useTail()
		}
		connection, delivered, err := r.follow(ctx)
		// The tail finds out first that the log is an older one. A reader whose place that log does reach goes on.
		if ctx.Err() != nil || errors.Is(err, engine.ErrOtherLog) && !r.tail.over() {
			return
		}
		if delivered {
			retry.Reset()
			warned = false
		}
		wait := retry.NextBackOff()
		_ = commands.Sleep(ctx, wait)
		level := slog.LevelDebug
		if !warned && !isTooSlow(err) && !connection.isLost() && !r.tail.over() { // the live tail says for all that the connection is lost
			level, warned = slog.LevelWarn, true
		}
		s.source.log.Log(ctx, level, "projection could not go on and follows the log again from its checkpoint", "projection", s.name, "error", err)
	}
}

func newBackOff() *backoff.ExponentialBackOff {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 100*time.Millisecond, 5*time.Second
	return retry
}

// reader is a subscriber on its way through the log.
type reader struct {
	*subscriber
	tail     *liveTail
	messages chan<- *message.Message
	position uint64 // all before, and at it, is delivered
}

// follow delivers batches from the checkpoint on until it cannot go on. It begins when the live tail is connected, so that
// there is one who looks for the log, and says that it is gone.
func (r *reader) follow(ctx context.Context) (connection *connection, delivered bool, err error) {
	if connection, err = r.tail.connected(ctx); err != nil {
		return connection, false, err
	}
	place, err := r.from(ctx)
	if err != nil {
		return connection, false, err
	}
	r.position = place.Position
	for {
		if connection, err = r.tail.connected(ctx); err != nil {
			return connection, delivered, err
		}
		caughtUp, err := r.catchUp(ctx, connection)
		delivered = delivered || r.position > place.Position
		if err != nil {
			return connection, delivered, err
		}
		if !caughtUp {
			continue
		}
		if err := r.readTail(ctx); !errors.Is(err, errBehindTail) {
			return connection, true, err
		}
		r.source.log.Debug("projection has fallen behind the live tail and catches up", "projection", r.name, "position", r.position)
	}
}

// readTail delivers from the tail. It fails with errBehindTail when the tail no longer reaches back to the place.
func (r *reader) readTail(ctx context.Context) error {
	joined := r.tail.join(r.wanted)
	defer joined.leave()
	for {
		batch, err := joined.next(ctx, r.position)
		if err != nil {
			return err
		}
		if err := r.deliver(ctx, batch, r.source.LiveInterval); err != nil {
			return err
		}
	}
}

// deliver hands a batch over until it is acknowledged, and leaves time for more to come when it was small.
func (r *reader) deliver(ctx context.Context, batch engine.Batch, interval time.Duration) error {
	batch.Position = max(batch.Position, r.position)
	if !engine.Deliver(ctx, r.messages, batch, redeliveryInterval, nil) {
		return ctx.Err()
	}
	r.position = batch.Position
	if len(batch.Events) < smallBatch {
		_ = commands.Sleep(ctx, interval)
	}
	return nil
}
