package logcopy

import (
	"bytes"
	"context"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
)

// metadataOf returns the metadata of a stream as it stands in the log: limits of age and number, access rights, and
// whatever else somebody wrote there. It is nil when there is none.
func metadataOf(ctx context.Context, client *eventstoredb.Client, stream string) ([]byte, error) {
	return outlastOutage(ctx, client, func(ctx context.Context, client *esdb.Client) ([]byte, error) {
		reading, err := client.ReadStream(ctx, "$$"+stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
		if eventstoredb.IsEnd(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		event, err := reading.Recv()
		if eventstoredb.IsEnd(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return event.OriginalEvent().Data, nil
	})
}

// carryMetadata gives a stream of the target the metadata that it has in the source.
func (c *copying) carryMetadata(ctx context.Context, noted *eventstoredb.Copied, stream string) error {
	wanted, held, err := c.metadataOfBoth(ctx, stream)
	if err != nil || bytes.Equal(wanted, held) {
		return err
	}
	if err := c.noteBegun(ctx, noted); err != nil {
		return err
	}
	event := esdb.EventData{EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: wanted}
	if _, err := outlastOutage(ctx, c.To, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
		return client.AppendToStream(ctx, "$$"+stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event)
	}); err != nil {
		return fmt.Errorf("set the metadata of %s in the target: %w", stream, err)
	}
	return nil
}

func (c *copying) compareMetadata(ctx context.Context, stream string) error {
	wanted, held, err := c.metadataOfBoth(ctx, stream)
	if err != nil || bytes.Equal(wanted, held) {
		return err
	}
	return &DifferenceError{What: fmt.Sprintf("the stream metadata of %s is %q, in the source %q", stream, held, wanted)}
}

func (c *copying) metadataOfBoth(ctx context.Context, stream string) (source, target []byte, err error) {
	if source, err = metadataOf(ctx, c.From, stream); err != nil {
		return nil, nil, fmt.Errorf("read the metadata of %s in the source: %w", stream, err)
	}
	if target, err = metadataOf(ctx, c.To, stream); err != nil {
		return nil, nil, fmt.Errorf("read the metadata of %s in the target: %w", stream, err)
	}
	return source, target, nil
}
