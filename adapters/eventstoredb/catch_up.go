package eventstoredb

import (
	"context"
	"fmt"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// receiveAhead is how many events are taken from the connection while a batch is applied; beyond it the node waits.
const receiveAhead = 2 * maxBatchEvents

// catchUp delivers over a subscription of the reader's own until that has caught up. By then everything up to a head that was
// read before subscribing is through, whatever the server says about where it is. That head is not before the place where
// the tail began, so the tail can take over also where the log ends with events of others.
//
// It returns false when the connection was lost since: the head was read from a server that another may lag behind.
func (r *reader) catchUp(ctx context.Context, connection *connection) (caughtUp bool, err error) {
	head, err := r.source.reach(ctx, r.position)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	subscription, err := r.source.client.subscribe(ctx, r.position, &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: r.eventTypes})
	if err != nil {
		cancel()
		return false, err
	}
	received := make(chan reception, receiveAhead)
	var receiving sync.WaitGroup
	receiving.Go(func() { r.receive(ctx, subscription, head, received) })
	defer func() {
		cancel()
		_ = subscription.Close()
		receiving.Wait()
	}()
	for {
		batch, dropped := collect(ctx, received)
		if batch.CaughtUp {
			if connection.isLost() {
				return false, nil
			}
			batch.Position = max(batch.Position, head)
		}
		if batch.Position > r.position || batch.CaughtUp {
			interval := historyInterval
			if batch.CaughtUp {
				interval = r.source.LiveInterval
			}
			if err := r.deliver(ctx, batch, interval); err != nil {
				return false, err
			}
		}
		if batch.CaughtUp || dropped != nil {
			return batch.CaughtUp, dropped
		}
	}
}

// reception is one message of a subscription, decoded.
type reception struct {
	position uint64           // covered by it; 0 when it covers nothing
	event    *domain.Recorded // nil when none of those asked for
	caughtUp bool
	dropped  error
}

// receive decodes what comes over the connection, while the batch before is applied, into a bounded channel; a full
// channel makes the node wait.
func (r *reader) receive(ctx context.Context, subscription *esdb.Subscription, head uint64, received chan<- reception) {
	for {
		next := r.decode(subscription.Recv(), head)
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

func (r *reader) decode(message *esdb.SubscriptionEvent, head uint64) reception {
	switch {
	case message.EventAppeared != nil:
		raw := message.EventAppeared.OriginalEvent()
		position := raw.Position.Commit
		if !r.source.owns(raw) || !r.wanted[raw.EventType] {
			return reception{position: position} // the store filters by prefix; a longer name with the same beginning was not asked for
		}
		recorded := r.source.codec.forProjections(raw)
		return reception{position: position, event: &recorded}
	case message.CheckPointReached != nil:
		if position := message.CheckPointReached.Commit; position <= max(head, r.tail.position()) {
			return reception{position: position}
		}
	case message.SubscriptionDropped != nil:
		return reception{dropped: fmt.Errorf("subscription dropped: %w", lacks(readAll, r.source.client.storeError(message.SubscriptionDropped.Error)))}
	}
	return reception{caughtUp: message.CaughtUp != nil}
}

// collect waits for a message and takes along what else has arrived by then, up to the message that it has caught up.
func collect(ctx context.Context, received <-chan reception) (batch engine.Batch, dropped error) {
	add := func(next reception) {
		batch.Position = max(batch.Position, next.position)
		batch.CaughtUp = next.caughtUp
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
	for len(batch.Events) < maxBatchEvents && !batch.CaughtUp && dropped == nil {
		select {
		case next := <-received:
			add(next)
		default:
			return batch, nil
		}
	}
	return batch, dropped
}
