package eventstoredb

import (
	"context"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/commands"
)

// Where a catch-up subscription begins: behind a commit position, 0 for everything.
func behind(position uint64) esdb.AllPosition {
	if position == 0 {
		return esdb.Start{} // left out, it would mean the end of the log and silently skip all history
	}
	return esdb.Position{Commit: position, Prepare: position}
}

// Checkpoints of a filtered subscription come after this many events searched, so that a follower of rare events still
// moves on, without a write to its own database for every few events of others.
const (
	searchWindow       = 256
	checkpointInterval = 4
)

// subscribe opens a filtered catch-up subscription to $all behind a position.
func (c *Client) subscribe(ctx context.Context, position uint64, filter *esdb.SubscriptionFilter) (*esdb.Subscription, error) {
	if err := c.ensureWhole(ctx); err != nil {
		return nil, err
	}
	return call(ctx, c, func(ctx context.Context, client *esdb.Client) (*esdb.Subscription, error) {
		return client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
			From: behind(position), Filter: filter, MaxSearchWindow: searchWindow, CheckpointInterval: checkpointInterval,
		})
	})
}

// Follow hands every event behind position that is not the store's own to handle, in commit order, exactly as it stands
// in the log. With live it goes on with new ones until ctx ends; else it returns when history is through.
func (c *Client) Follow(ctx context.Context, position uint64, live bool, handle func(*esdb.RecordedEvent) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscription, err := c.subscribe(ctx, position, esdb.ExcludeSystemEventsFilter())
	if err != nil {
		return err
	}
	defer func() { _ = subscription.Close() }()
	for {
		happened := subscription.Recv()
		switch {
		case happened.EventAppeared != nil:
			if happened.EventAppeared.OriginalEvent().StreamID == CopyStream {
				continue // about the log, not in it
			}
			if err := handle(happened.EventAppeared.OriginalEvent()); err != nil {
				return err
			}
		case happened.CaughtUp != nil && !live:
			return nil
		case happened.SubscriptionDropped != nil:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: subscription dropped: %w", commands.ErrStoreUnavailable, happened.SubscriptionDropped.Error)
		}
	}
}
