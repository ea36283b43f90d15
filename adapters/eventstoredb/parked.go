package eventstoredb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// ParkedEvent is an event that a group has set aside.
type ParkedEvent struct {
	ID       uuid.UUID
	Type     string
	Stream   string
	Revision uint64
	Reason   string
	ParkedAt time.Time
}

// The stream of the links to what a group of $all has parked, in the store's own naming.
func parkedStream(group string) string { return "$persistentsubscription-$all::" + group + "-parked" }

const operatorsOnly = " (that takes a user of $ops or $admins)"

// mostParked bounds how many parked events are looked at, newest first.
const mostParked = 1000

// ParkedEvents returns what a group has parked and nobody has replayed since, oldest first, at most the newest thousand. Links to
// events that the log no longer holds are left out. It takes a user of $ops or $admins.
func (c *Client) ParkedEvents(ctx context.Context, group string) ([]ParkedEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	parked, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) ([]ParkedEvent, error) {
		reading, err := client.ReadStream(ctx, parkedStream(group), esdb.ReadStreamOptions{
			Direction: esdb.Backwards, From: esdb.End{}, ResolveLinkTos: true,
		}, mostParked)
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		var parked []ParkedEvent
		for {
			resolved, err := reading.Recv()
			if IsEnd(err) {
				return parked, nil
			}
			if err != nil {
				return nil, err
			}
			if resolved.Event == nil || resolved.Link == nil {
				continue
			}
			parked = append(parked, parkedEvent(resolved))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read the parked events of %s: %w", group, lacks("read the parked events of "+group+operatorsOnly, err))
	}
	slices.Reverse(parked)
	return parked, nil
}

func parkedEvent(resolved *esdb.ResolvedEvent) ParkedEvent {
	var said struct {
		Added  time.Time `json:"added"`
		Reason string    `json:"reason"`
	}
	_ = json.Unmarshal(resolved.Link.UserMetadata, &said) // without it there is no reason to show
	if said.Added.IsZero() {
		said.Added = resolved.Link.CreatedDate
	}
	return ParkedEvent{
		ID: resolved.Event.EventID, Type: resolved.Event.EventType,
		Stream: resolved.Event.StreamID, Revision: resolved.Event.EventNumber,
		Reason: said.Reason, ParkedAt: said.Added.UTC(),
	}
}

// ReplayParked has the store deliver again what a group has parked. It takes a user of $ops or $admins.
func (c *Client) ReplayParked(ctx context.Context, group string) error {
	_, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (struct{}, error) {
		return struct{}{}, client.ReplayParkedMessagesToAll(ctx, group, esdb.ReplayParkedMessagesOptions{})
	})
	if err != nil {
		return fmt.Errorf("replay the parked events of %s: %w", group, lacks("replay the parked events of "+group+operatorsOnly, err))
	}
	return nil
}
