package logcopy

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

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

// carryMetadata gives streams of the target the metadata that they have in the source.
func (c *copying) carryMetadata(ctx context.Context, noted *eventstoredb.Copied, streams map[string]bool) error {
	return c.otherMetadata(ctx, streams, func(stream string, wanted, _ []byte) error {
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
	})
}

func (c *copying) compareMetadata(ctx context.Context, streams map[string]bool) error {
	return c.otherMetadata(ctx, streams, func(stream string, wanted, held []byte) error {
		return &DifferenceError{What: fmt.Sprintf("the stream metadata of %s is %q, in the source %q", stream, held, wanted)}
	})
}

// otherMetadata hands on the metadata of those streams that have another in the target.
func (c *copying) otherMetadata(ctx context.Context, streams map[string]bool, each func(stream string, source, target []byte) error) error {
	for _, stream := range slices.Sorted(maps.Keys(streams)) {
		source, err := metadataOf(ctx, c.From, stream)
		if err != nil {
			return fmt.Errorf("read the metadata of %s in the source: %w", stream, err)
		}
		target, err := metadataOf(ctx, c.To, stream)
		if err != nil {
			return fmt.Errorf("read the metadata of %s in the target: %w", stream, err)
		}
		if bytes.Equal(source, target) {
			continue
		}
		if err := each(stream, source, target); err != nil {
			return err
		}
	}
	return nil
}
