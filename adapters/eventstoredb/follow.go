package eventstoredb

import (
	"context"
	"errors"
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

// subscribe opens a catch-up subscription to $all behind a position; without a filter it has no checkpoints. The caller knows
// that the log reaches that position: from beyond its end 24.x would withhold every event up to there.
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

// ErrBeyondEnd says that a position is not in the log, because it ends before.
var ErrBeyondEnd = errors.New("beyond the end of the log")

// Follow hands every event behind position that is not the store's own to handle, in commit order, exactly as it stands
// in the log. With live it goes on with new ones until ctx ends; else it returns when everything is through that was in the
// log at the call. It fails with ErrBeyondEnd when the log ends before position.
//
// Neither a slow handle nor a connection that is lost loses or repeats an event: what was handled last is where it goes on.
func (c *Client) Follow(ctx context.Context, position uint64, live bool, handle func(*esdb.RecordedEvent) error) error {
	retry := newBackOff()
	for first, failures := true, 0; ; first, failures = false, failures+1 {
		before := position
		lost, err := c.follow(ctx, &position, live, handle)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !lost && (first || !worthRetrying(err)):
			return err
		case position > before:
			failures = 0
			retry.Reset()
		case failures == followRetries:
			return err
		}
		_ = commands.Sleep(ctx, retry.NextBackOff())
	}
}

// worthRetrying returns what may be different a moment later: a new leader of a cluster may at first not show the end of the log.
func worthRetrying(err error) bool {
	return errors.Is(err, commands.ErrStoreUnavailable) || errors.Is(err, ErrBeyondEnd)
}

// followRetries is how often Follow looks for the log again when it is lost: for about ten seconds.
const followRetries = 8

// follow moves position with each event that is handled. It returns whether a subscription stood and was lost.
func (c *Client) follow(ctx context.Context, position *uint64, live bool, handle func(*esdb.RecordedEvent) error) (lost bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	head, err := c.Head(ctx)
	if err != nil {
		return false, fmt.Errorf("read the end of the log: %w", err)
	}
	if *position > head {
		return false, fmt.Errorf("position %d is %w, which is at %d: give one up to that", *position, ErrBeyondEnd, head)
	}
	subscription, err := c.subscribe(ctx, *position, esdb.ExcludeSystemEventsFilter())
	if err != nil {
		return false, err
	}
	defer func() { _ = subscription.Close() }()
	for {
		message := subscription.Recv()
		switch {
		case message.EventAppeared != nil:
			event := message.EventAppeared.OriginalEvent()
			if event.StreamID == CopyStream {
				continue // about the log, not in it
			}
			if err := handle(event); err != nil {
				return false, err
			}
			*position = event.Position.Commit
		case message.CaughtUp != nil && !live:
			return false, nil
		case message.SubscriptionDropped != nil:
			return true, fmt.Errorf("subscription dropped: %w", lacks(readAll, c.storeError(message.SubscriptionDropped.Error)))
		}
	}
}
