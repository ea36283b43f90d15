package eventstoredb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// Source is the log as projections follow it, handed on through Watermill: each catches up over a filtered subscription to
// $all of its own; those that are live share one.
type Source struct {
	client     *Client
	codec      codec
	log        *slog.Logger
	tailEvents int

	mu   sync.Mutex
	tail *liveTail // nil when nobody follows
}

var _ engine.Source = (*Source)(nil)

// NewSource follows the log through client, decoding the events of registry.
func NewSource(client *Client, registry *domain.Registry, log *slog.Logger) *Source {
	return &Source{client: client, codec: codec{registry, client}, log: log, tailEvents: tailEvents}
}

// Head is the commit position of the newest event in the log.
func (s *Source) Head(ctx context.Context) (uint64, error) { return s.client.Head(ctx) }

// Subscriber follows eventTypes for the projection called name; see engine.Source.
func (s *Source) Subscriber(
	name string, eventTypes []string, from func(context.Context) (engine.Place, error),
) message.Subscriber {
	ctx, stop := context.WithCancel(context.Background())
	wanted := make(map[string]bool, len(eventTypes))
	for _, eventType := range eventTypes {
		wanted[eventType] = true
	}
	return &subscriber{source: s, name: name, eventTypes: eventTypes, wanted: wanted, from: from, ctx: ctx, stop: stop}
}

// subscriber is a Watermill subscriber whose messages are batches. It keeps the order of the log and loses nothing; it
// delivers a batch again after a Nack, and again after a reconnection when the checkpoint has not moved past it.
type subscriber struct {
	source     *Source
	name       string
	eventTypes []string
	wanted     map[string]bool
	from       func(context.Context) (engine.Place, error)

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup
}

const (
	// maxBatchEvents bounds a batch, and with it the size of a projection's transaction.
	maxBatchEvents = 2000
	// receiveAhead is how many events are taken from the connection while a batch is applied; beyond it the node waits.
	receiveAhead = 2 * maxBatchEvents
	// pace is the least time from one small batch to the next. Without it each event of a busy log would be a transaction
	// of its own, at the cost of the checks that the events come from. After a quiet moment there is nothing to wait for.
	pace       = 200 * time.Millisecond
	smallBatch = 100
	// historyPace is the same while history is read. What comes next is on its way already: by then receiveAhead events are
	// there, and a longer wait would only hold up a rebuild.
	historyPace = 50 * time.Millisecond
	// redeliveryPause follows a Nack.
	redeliveryPause = 500 * time.Millisecond
)

// Subscribe delivers batches until ctx ends or the subscriber is closed. The topic is not used: what is followed was
// said when the subscriber was made.
func (s *subscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	s.running.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(s.ctx, cancel)
	go func() {
		defer s.running.Done()
		defer unlink()
		defer cancel()
		defer close(messages)
		s.keepFollowing(ctx, messages)
	}()
	return messages, nil
}

// Close ends all subscriptions and waits for them.
func (s *subscriber) Close() error {
	s.stop()
	s.running.Wait()
	return nil
}

// keepFollowing follows the log and begins anew at the checkpoint whenever the connection is lost.
func (s *subscriber) keepFollowing(ctx context.Context, messages chan<- *message.Message) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	for ctx.Err() == nil {
		delivered, err := s.follow(ctx, messages)
		if ctx.Err() != nil {
			return
		}
		if delivered {
			pause.Reset()
		}
		wait := pause.NextBackOff()
		s.source.log.Warn("projection has lost the log and reconnects", "projection", s.name, "wait", wait, "error", err)
		rest(ctx, wait)
	}
}

// follow delivers batches until the connection is lost.
func (s *subscriber) follow(ctx context.Context, messages chan<- *message.Message) (delivered bool, err error) {
	place, err := s.from(ctx)
	if err != nil {
		return false, err
	}
	// Before catching up, so that the tail begins behind the place where it ends, however fast the log grows.
	tail, err := s.source.useTail(ctx)
	if err != nil {
		return false, err
	}
	defer s.source.leaveTail(tail)
	p := &passage{subscriber: s, tail: tail, messages: messages, position: place.Position}
	for {
		if err := p.catchUp(ctx); err != nil {
			return p.delivered, err
		}
		if err := p.readTail(ctx); !errors.Is(err, errBehindTail) {
			return p.delivered, err
		}
		s.source.log.Debug("projection has fallen behind the live tail and catches up", "projection", s.name, "position", p.position)
	}
}

// passage is a subscriber's way through the log from the place that it asked for until the connection is lost.
type passage struct {
	*subscriber
	tail      *liveTail
	messages  chan<- *message.Message
	position  uint64 // all before, and at it, is delivered
	delivered bool
}

// catchUp delivers over a subscription of its own until the end of the log was reached and the tail can take over. The end
// alone is not enough: who left at a place that the tail does not reach back to would only come back.
func (p *passage) catchUp(ctx context.Context) error {
	connected, cancel := context.WithCancel(ctx)
	subscription, err := p.source.client.subscribe(connected, p.position, &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: p.eventTypes})
	if err != nil {
		cancel()
		return err
	}
	received := make(chan happening, receiveAhead)
	var receiving sync.WaitGroup
	receiving.Go(func() { p.receive(connected, subscription, received) })
	defer func() {
		cancel()
		_ = subscription.Close()
		receiving.Wait()
	}()
	for caughtUp := false; !caughtUp || !p.tail.covers(p.position); {
		batch, dropped := p.collect(ctx, received)
		if batch.Position > 0 || batch.CaughtUp {
			if err := p.deliver(ctx, batch); err != nil {
				return err
			}
			caughtUp = caughtUp || batch.CaughtUp
		}
		if dropped != nil {
			return dropped
		}
		if len(batch.Events) < smallBatch {
			wait := historyPace
			if caughtUp {
				wait = pace
			}
			rest(ctx, wait)
		}
	}
	return nil
}

// readTail delivers from the tail. It fails with errBehindTail when the tail no longer reaches back to the place.
func (p *passage) readTail(ctx context.Context) error {
	reader := p.tail.join(p.wanted)
	defer reader.leave()
	for {
		batch, err := reader.next(ctx, p.position)
		if err != nil {
			return err
		}
		if err := p.deliver(ctx, batch); err != nil {
			return err
		}
		if len(batch.Events) < smallBatch {
			rest(ctx, pace)
		}
	}
}

// deliver hands a batch over until it is acknowledged.
func (p *passage) deliver(ctx context.Context, batch engine.Batch) error {
	batch.Position = max(batch.Position, p.position) // that the end was reached tells no position
	if !engine.Deliver(ctx, p.messages, batch, redeliveryPause, nil) {
		return ctx.Err()
	}
	p.position, p.delivered = batch.Position, true
	return nil
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// happening is one message of a subscription, decoded.
type happening struct {
	position uint64           // covered by it; 0 when it covers nothing
	event    *domain.Recorded // nil when none of the types asked for
	caughtUp bool
	dropped  error
}

// receive decodes what comes over the connection, while the batch before is applied, into a bounded channel; a full
// channel makes the node wait.
func (s *subscriber) receive(ctx context.Context, subscription *esdb.Subscription, received chan<- happening) {
	for {
		next := s.decode(subscription.Recv())
		select {
		case received <- next:
		case <-ctx.Done():
			return
		}
		if next.dropped != nil {
			return
		}
	}
}

func (s *subscriber) decode(happened *esdb.SubscriptionEvent) happening {
	switch {
	case happened.EventAppeared != nil:
		raw := happened.EventAppeared.OriginalEvent()
		if !s.wanted[raw.EventType] {
			return happening{position: raw.Position.Commit} // the store filters by prefix; a longer name with the same beginning is not ours
		}
		recorded := s.source.codec.forProjections(raw)
		return happening{position: raw.Position.Commit, event: &recorded}
	case happened.CheckPointReached != nil:
		return happening{position: happened.CheckPointReached.Commit}
	case happened.SubscriptionDropped != nil:
		return happening{dropped: happened.SubscriptionDropped.Error}
	}
	return happening{caughtUp: happened.CaughtUp != nil}
}

// collect waits for something to happen and takes along what else has arrived by then.
func (s *subscriber) collect(ctx context.Context, received <-chan happening) (batch engine.Batch, dropped error) {
	add := func(next happening) {
		batch.Position = max(batch.Position, next.position)
		batch.CaughtUp = batch.CaughtUp || next.caughtUp
		if next.event != nil {
			batch.Events = append(batch.Events, *next.event)
		}
		dropped = next.dropped
	}
	select {
	case next := <-received:
		add(next)
	case <-ctx.Done():
		return batch, ctx.Err()
	}
	for len(batch.Events) < maxBatchEvents && dropped == nil {
		select {
		case next := <-received:
			add(next)
		default:
			return batch, nil
		}
	}
	return batch, dropped
}
