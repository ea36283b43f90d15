package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/domain"
)

// Reactor lets a handler with side effects work on events, on any number of nodes: they compete for the events of one
// persistent subscription to $all. An event is handled at least once and not in order, so the handler must be
// idempotent in effect. What fails is tried again with growing pauses; what fails for hours, or cannot be decoded, is
// parked by the store, where an operator sees it and can replay it.
type Reactor struct {
	client *Client
	codec  codec
	log    *slog.Logger

	Group  string   // names the subscription; who shares it competes
	Events []string // types of the events that are handled
	Handle func(ctx context.Context, recorded domain.Recorded) error

	// Hopeless says which failures of Handle would only come again: such an event is parked at once. Nil knows none.
	Hopeless func(error) bool
}

// NewReactor handles events of registry. Group, Events and Handle are the caller's to set.
func NewReactor(client *Client, registry *domain.Registry, log *slog.Logger) *Reactor {
	return &Reactor{client: client, codec: codec{registry, client}, log: log}
}

const (
	reactorWorkers    = 4
	reactorMaxRetries = 300 // with the pauses below: about five hours
	reactorFirstPause = time.Second
	reactorLastPause  = time.Minute
	reactorTimeout    = 5 * time.Minute // longer than a pause and an attempt, else the store gives the event to another
)

// Run handles events until ctx ends, reconnecting when the store goes away.
func (r *Reactor) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := r.consume(ctx)
		if ctx.Err() != nil {
			break
		}
		r.log.Warn("reactor has lost the log and reconnects", "group", r.Group, "error", err)
		pause(ctx, reactorFirstPause)
	}
	return nil
}

func (r *Reactor) consume(ctx context.Context) error {
	if err := r.ensureGroup(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscription, err := call(ctx, r.client, func(ctx context.Context, client *esdb.Client) (*esdb.PersistentSubscription, error) {
		return client.SubscribeToPersistentSubscriptionToAll(ctx, r.Group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: reactorWorkers})
	})
	if err != nil {
		return err
	}
	answers := &answers{subscription: subscription}
	var workers sync.WaitGroup
	defer func() {
		cancel()
		workers.Wait() // before Close, which sends on the stream as their answers do
		_ = subscription.Close()
	}()
	// The store keeps at most BufferSize events unanswered, so there are never more goroutines than that.
	for {
		happened := subscription.Recv()
		switch {
		case happened.EventAppeared != nil:
			appeared := happened.EventAppeared
			workers.Go(func() { r.handle(ctx, answers, appeared) })
		case happened.SubscriptionDropped != nil:
			return happened.SubscriptionDropped.Error
		}
	}
}

// handle works on one event and answers for it.
func (r *Reactor) handle(ctx context.Context, answers *answers, appeared *esdb.EventAppeared) {
	raw := appeared.Event.OriginalEvent()
	recorded, err := r.codec.decode(raw)
	if err != nil {
		r.log.Error("event cannot be read and is parked", "group", r.Group, "type", raw.EventType, "stream", raw.StreamID, "revision", raw.EventNumber, "error", err)
		answers.send(func(s *esdb.PersistentSubscription) error {
			return s.Nack("cannot be decoded", esdb.NackActionPark, appeared.Event)
		})
		return
	}
	if err := r.Handle(ctx, recorded); err != nil {
		if ctx.Err() != nil {
			return // not answered: another node gets it
		}
		if r.Hopeless != nil && r.Hopeless(err) {
			r.log.Error("event cannot be handled and is parked", "group", r.Group, "type", raw.EventType, "stream", raw.StreamID, "revision", raw.EventNumber, "error", err)
			answers.send(func(s *esdb.PersistentSubscription) error {
				return s.Nack("cannot be handled", esdb.NackActionPark, appeared.Event)
			})
			return
		}
		wait := min(reactorFirstPause<<min(appeared.RetryCount, 10), reactorLastPause)
		r.log.Warn("event could not be handled", "group", r.Group, "type", raw.EventType, "stream", raw.StreamID, "revision", raw.EventNumber,
			"attempt", appeared.RetryCount+1, "wait", wait, "error", err)
		pause(ctx, wait)
		answers.send(func(s *esdb.PersistentSubscription) error {
			return s.Nack("handler failed", esdb.NackActionRetry, appeared.Event)
		})
		return
	}
	answers.send(func(s *esdb.PersistentSubscription) error { return s.Ack(appeared.Event) })
}

// ensureGroup creates the subscription at the start of the log, once for all nodes.
func (r *Reactor) ensureGroup(ctx context.Context) error {
	err := r.client.CreateGroup(ctx, r.Group, r.Events, esdb.Start{})
	if exists := (*esdb.Error)(nil); errors.As(err, &exists) && exists.Code() == esdb.ErrorCodeResourceAlreadyExists {
		return nil
	}
	return err
}

// CreateGroup creates a reactor's persistent subscription. The event at from is the first one that it delivers.
func (c *Client) CreateGroup(ctx context.Context, group string, events []string, from esdb.AllPosition) error {
	settings := esdb.SubscriptionSettingsDefault()
	settings.MaxRetryCount = reactorMaxRetries
	settings.MessageTimeout = int32(reactorTimeout.Milliseconds())
	settings.CheckpointLowerBound, settings.CheckpointAfter = 1, 1000
	_, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (struct{}, error) {
		return struct{}{}, client.CreatePersistentSubscriptionToAll(ctx, group, esdb.PersistentAllSubscriptionOptions{
			Settings: &settings, StartFrom: from,
			Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: events},
		})
	})
	if err != nil {
		return fmt.Errorf("create persistent subscription %s: %w", group, err)
	}
	return nil
}

// answers sends acknowledgements one at a time: a gRPC stream takes no concurrent sends.
type answers struct {
	mu           sync.Mutex
	subscription *esdb.PersistentSubscription
}

// send gives an answer. One that is lost costs nothing but another delivery.
func (a *answers) send(answer func(*esdb.PersistentSubscription) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = answer(a.subscription)
}

func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}
