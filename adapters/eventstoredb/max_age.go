package eventstoredb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

const maxAgeKey = "$maxAge"

// LimitAge makes a stream forget what is older than age, whether the stream exists or not. A limit that it has already, and
// whatever else its metadata says, stays.
func (c *Client) LimitAge(ctx context.Context, stream string, age time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	newest, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (*esdb.RecordedEvent, error) {
		reading, err := client.ReadStream(ctx, "$$"+stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		event, err := reading.Recv()
		if err != nil {
			return nil, err
		}
		return event.OriginalEvent(), nil
	})
	metadata := map[string]json.RawMessage{}
	var expected esdb.ExpectedRevision = esdb.NoStream{}
	switch {
	case IsEnd(err):
	case err != nil:
		return fmt.Errorf("read the metadata of %s: %w", stream, err)
	default:
		if err := json.Unmarshal(newest.Data, &metadata); err != nil {
			return fmt.Errorf("read the metadata of %s: %w", stream, err)
		}
		expected = esdb.Revision(newest.EventNumber)
	}
	if _, limited := metadata[maxAgeKey]; limited {
		return nil
	}
	metadata[maxAgeKey] = json.RawMessage(strconv.FormatInt(int64(age/time.Second), 10))
	data, err := json.Marshal(metadata)
	if err != nil {
		return fmt.Errorf("set the metadata of %s: %w", stream, err)
	}
	event := esdb.EventData{EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: data}
	if _, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
		return client.AppendToStream(ctx, "$$"+stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, event)
	}); err != nil && !errors.Is(err, commands.ErrConflict) { // another node has just done it
		return fmt.Errorf("set the metadata of %s: %w", stream, err)
	}
	return nil
}

// LimitAges gives every stream that must forget its age limit: those of a log that was begun by a program that did not
// set it. It reads the whole log and returns how many such streams there are.
func (c *Client) LimitAges(ctx context.Context) (int, error) {
	limited := map[string]bool{}
	err := c.Follow(ctx, 0, false, func(event *esdb.RecordedEvent) error {
		age := domain.MaxAge(event.StreamID)
		if age == 0 || limited[event.StreamID] {
			return nil
		}
		limited[event.StreamID] = true
		return c.LimitAge(ctx, event.StreamID, age)
	})
	return len(limited), err
}
