package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cenkalti/backoff/v5"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Reactor lets a handler with side effects work on events, on any number of nodes: they compete for the events of one
// persistent subscription to $all. An event is handled at least once and not in order, so the handler must be
// idempotent in effect. What fails is tried again with growing pauses, however long that takes: an outage or a wrong setting
// says nothing about an event. What would fail for ever, or cannot be decoded, is parked, where an operator sees it and can
// replay it.
type Reactor struct {
	client *Client
	codec  codec
	log    *slog.Logger

	Group  string   // names the subscription; who shares it competes
	Events []string // types of the events that are handled
	Handle func(ctx context.Context, recorded domain.Recorded) error

	// Permanent says which failures of Handle would only come again: such an event is parked at once. Nil knows none.
	Permanent func(error) bool

	// Parked is told of an event that is about to be parked, and why. May be nil.
	Parked func(ctx context.Context, event ParkedEvent)

	atOnce chan struct{} // holds one for each event that is being handled

	mu      sync.Mutex
	stopped error // why it does not run; nil while it does
}

// NewReactor handles events of registry. Group, Events and Handle are the caller's to set.
func NewReactor(client *Client, registry *domain.Registry, log *slog.Logger) *Reactor {
	return &Reactor{
		client: client, codec: codec{registry, client}, log: log,
		atOnce: make(chan struct{}, reactorWorkers), stopped: errors.New("it has not begun"),
	}
}

const (
	reactorWorkers      = 16            // events that are handled at a time
	reactorUnanswered   = 1024          // those that wait for their next attempt included, which is all they do: they keep nothing from the others
	reactorMaxRetries   = math.MaxInt32 // the store parks nothing by itself
	reactorFirstPause   = time.Second
	reactorLastPause    = time.Minute
	reactorTimeout      = 5 * time.Minute // longer than a turn, a pause and an attempt, else the store gives the event to another
	reactorTurn         = time.Minute     // longest wait for one of the workers
	reactorMaxReconnect = 5 * time.Second
)

// Run handles events until ctx ends, reconnecting when the store goes away.
func (r *Reactor) Run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 250*time.Millisecond, reactorMaxReconnect
	warned := ""
	settled := false
	for ctx.Err() == nil {
		settled = settled || r.settle(ctx)
		err := r.consume(ctx, func() {
			r.setStopped(nil)
			if warned != "" {
				r.log.Info("reactor runs again", "group", r.Group)
			}
			warned = ""
			wait.Reset()
		})
		if ctx.Err() != nil {
			break
		}
		r.setStopped(err)
		level := slog.LevelDebug
		if cause := causeOf(err); cause != warned {
			warned, level = cause, slog.LevelWarn // once per cause, not once per attempt
		}
		r.log.Log(ctx, level, "reactor does not run", "group", r.Group, "error", err)
		_ = commands.Sleep(ctx, wait.NextBackOff())
	}
	r.setStopped(errors.New("it has ended"))
	return nil
}

// Check returns why the reactor does not run; nil while it does.
func (r *Reactor) Check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

func (r *Reactor) setStopped(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = err
}

// causeOf returns the same text for what an operator has to look at once.
func causeOf(err error) string {
	if errors.Is(err, commands.ErrStoreUnavailable) {
		return commands.ErrStoreUnavailable.Error()
	}
	return err.Error()
}

// consume handles events until the subscription is lost; running is called once it stands.
func (r *Reactor) consume(ctx context.Context, running func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscription, err := r.connect(ctx)
	if err != nil {
		return err
	}
	running()
	answers := &answers{subscription: subscription}
	var workers sync.WaitGroup
	defer func() {
		cancel()
		workers.Wait() // before Close, which sends on the stream as their answers do
		_ = subscription.Close()
	}()
	// The store keeps at most BufferSize events unanswered, so there are never more goroutines than that.
	for {
		received := subscription.Recv()
		switch {
		case received.EventAppeared != nil:
			appeared := received.EventAppeared
			workers.Go(func() { r.handle(ctx, answers, appeared) })
		case received.SubscriptionDropped != nil:
			return lacks(readAll, r.client.storeError(received.SubscriptionDropped.Error))
		}
	}
}

// connect joins the group. It is created when it is missing only: that takes more rights than using it does.
func (r *Reactor) connect(ctx context.Context) (*esdb.PersistentSubscription, error) {
	subscribe := func(ctx context.Context, client *esdb.Client) (*esdb.PersistentSubscription, error) {
		return client.SubscribeToPersistentSubscriptionToAll(ctx, r.Group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: reactorUnanswered})
	}
	if err := r.client.ensureWhole(ctx); err != nil {
		return nil, err
	}
	subscription, err := call(ctx, r.client, subscribe)
	if hasCode(err, esdb.ErrorCodeResourceNotFound) {
		if _, err := r.Prepare(ctx); err != nil {
			return nil, err
		}
		subscription, err = call(ctx, r.client, subscribe)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to persistent subscription %s: %w", r.Group, lacks(readAll, err))
	}
	return subscription, nil
}

// Prepare creates the group at the start of the log, once for all nodes; false when it is there already, and then only has
// the settings of this program.
func (r *Reactor) Prepare(ctx context.Context) (created bool, err error) {
	err = r.client.CreateGroup(ctx, r.Group, r.Events, esdb.Start{})
	if hasCode(err, esdb.ErrorCodeResourceAlreadyExists) {
		return false, r.updateGroup(ctx)
	}
	return err == nil, err
}

// settle gives a group that an older program has created the settings of this one; false when the store cannot say yet. A
// user who may not do that goes on with the old ones, by which the store parks what has failed for some hours, until an
// administrator has run Prepare.
func (r *Reactor) settle(ctx context.Context) bool {
	err := r.updateGroup(ctx)
	if err != nil {
		r.log.Debug("the settings of the group stay as they are", "group", r.Group, "error", err)
	}
	return !errors.Is(err, commands.ErrStoreUnavailable)
}

// updateGroup sets what an older program has set otherwise. The consumers of a group lose their connection when it is
// updated, so that it is left alone where nothing differs.
func (r *Reactor) updateGroup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	info, err := call(ctx, r.client, func(ctx context.Context, client *esdb.Client) (*esdb.PersistentSubscriptionInfo, error) {
		return client.GetPersistentSubscriptionInfoToAll(ctx, r.Group, esdb.GetPersistentSubscriptionOptions{})
	})
	if err != nil {
		return fmt.Errorf("look into persistent subscription %s: %w", r.Group, err)
	}
	wanted := groupSettings()
	from := startOf(info)
	if from == nil || info.Settings.MaxRetryCount == wanted.MaxRetryCount && info.Settings.MessageTimeout == wanted.MessageTimeout {
		return nil
	}
	if _, err := call(ctx, r.client, func(ctx context.Context, client *esdb.Client) (struct{}, error) {
		return struct{}{}, client.UpdatePersistentSubscriptionToAll(ctx, r.Group, esdb.PersistentAllSubscriptionOptions{
			Settings: &wanted, StartFrom: from,
		})
	}); err != nil {
		return fmt.Errorf("update persistent subscription %s: %w", r.Group, err)
	}
	return nil
}

// startOf returns where a group began, which an update has to say again; nil when the store does not tell.
func startOf(info *esdb.PersistentSubscriptionInfo) esdb.AllPosition {
	if info.Settings == nil {
		return nil
	}
	switch from := info.Settings.StartFrom.(type) {
	case *esdb.Position:
		return *from
	case esdb.AllPosition:
		return from
	}
	return nil
}

func groupSettings() esdb.PersistentSubscriptionSettings {
	settings := esdb.SubscriptionSettingsDefault()
	settings.MaxRetryCount = reactorMaxRetries
	settings.MessageTimeout = int32(reactorTimeout.Milliseconds())
	settings.CheckpointLowerBound, settings.CheckpointAfter = 1, 1000
	return settings
}

// CreateGroup creates a reactor's persistent subscription. The event at from is the first one that it delivers.
func (c *Client) CreateGroup(ctx context.Context, group string, events []string, from esdb.AllPosition) error {
	settings := groupSettings()
	_, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (struct{}, error) {
		return struct{}{}, client.CreatePersistentSubscriptionToAll(ctx, group, esdb.PersistentAllSubscriptionOptions{
			Settings: &settings, StartFrom: from,
			Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: events},
		})
	})
	if err != nil {
		right := fmt.Sprintf("create the persistent subscription %s, which is missing (that takes a user of $ops or $admins, once)", group)
		return fmt.Errorf("create persistent subscription %s: %w", group, lacks(right, err))
	}
	return nil
}

// handle works on one event and answers for it.
func (r *Reactor) handle(ctx context.Context, answers *answers, appeared *esdb.EventAppeared) {
	raw := appeared.Event.Event // of a parked message that is replayed what its link points to
	if raw == nil {
		link := appeared.Event.OriginalEvent()
		r.log.Warn("parked event is gone from the log and passed over", "group", r.Group, "link", link.StreamID, "revision", link.EventNumber)
		answers.ack(appeared.Event)
		return
	}
	if !r.codec.owns(raw) {
		answers.ack(appeared.Event) // another program's, whatever it holds
		return
	}
	log := r.log.With("group", r.Group, "type", raw.EventType, "stream", raw.StreamID, "revision", raw.EventNumber)
	recorded, err := r.codec.decode(raw)
	if err != nil {
		log.Error("event cannot be read and is parked", "error", err)
		r.tellParked(ctx, raw, err)
		answers.nack("cannot be decoded", esdb.NackActionPark, appeared.Event)
		return
	}
	err = r.react(ctx, recorded)
	switch {
	case err == nil:
		answers.ack(appeared.Event)
	case ctx.Err() != nil:
		// Not answered: another node gets it.
	case r.Permanent != nil && r.Permanent(err):
		log.Error("event cannot be handled and is parked", "error", err)
		r.tellParked(ctx, raw, err)
		answers.nack("cannot be handled", esdb.NackActionPark, appeared.Event)
	default:
		wait := min(reactorFirstPause<<min(appeared.RetryCount, 10), reactorLastPause)
		log.Warn("event could not be handled", "attempt", appeared.RetryCount+1, "wait", wait, "error", err)
		_ = commands.Sleep(ctx, wait)
		answers.nack("handler failed", esdb.NackActionRetry, appeared.Event)
	}
}

var errNoTurn = errors.New("all workers are busy")

// react has the handler work on an event once a worker is free.
func (r *Reactor) react(ctx context.Context, recorded domain.Recorded) error {
	patience := time.NewTimer(reactorTurn)
	defer patience.Stop()
	select {
	case r.atOnce <- struct{}{}:
	case <-patience.C:
		return errNoTurn
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.atOnce }()
	handling, span := traceReaction(ctx, r.Group, recorded)
	err := r.Handle(handling, recorded)
	span.End(err)
	return err
}

func (r *Reactor) tellParked(ctx context.Context, raw *esdb.RecordedEvent, err error) {
	if r.Parked != nil {
		r.Parked(ctx, ParkedEvent{
			ID: raw.EventID, Type: raw.EventType, Stream: raw.StreamID, Revision: raw.EventNumber, Reason: err.Error(),
		})
	}
}

// answers sends acknowledgements one at a time: a gRPC stream takes no concurrent sends. One that is lost costs nothing
// but another delivery.
type answers struct {
	mu           sync.Mutex
	subscription *esdb.PersistentSubscription
}

func (a *answers) ack(event *esdb.ResolvedEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.subscription.Ack(event)
}

func (a *answers) nack(reason string, action esdb.NackAction, event *esdb.ResolvedEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.subscription.Nack(reason, action, event)
}
