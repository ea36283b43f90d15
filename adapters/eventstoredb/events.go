package eventstoredb

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// codec turns events into what the log holds and back.
type codec struct {
	registry *domain.Registry
	client   *Client // knows whether the log was copied from another
}

func (c codec) encode(proposed commands.Proposed) (esdb.EventData, error) {
	data, version, err := c.registry.Encode(proposed.Event)
	if err != nil {
		return esdb.EventData{}, err
	}
	meta := proposed.Meta
	meta.SchemaVersion = version
	metadata, err := json.Marshal(meta)
	if err != nil {
		return esdb.EventData{}, fmt.Errorf("encode metadata of %s: %w", proposed.Event.EventType(), err)
	}
	return esdb.EventData{
		EventID: proposed.ID, EventType: proposed.Event.EventType(), ContentType: esdb.ContentTypeJson, Data: data, Metadata: metadata,
	}, nil
}

// decode returns the recorded event. On an error everything but the event itself is filled in, so that who finds a
// poisonous event can say where it stands.
func (c codec) decode(raw *esdb.RecordedEvent) (domain.Recorded, error) {
	recorded := located(raw)
	if err := json.Unmarshal(raw.UserMetadata, &recorded.Meta); err != nil {
		recorded.Meta = domain.Metadata{} // a part of it says nothing
		return recorded, fmt.Errorf("%s %d: decode metadata of %s: %w", raw.StreamID, raw.EventNumber, raw.EventType, err)
	}
	recorded.RecordedAt = c.client.copied.Load().recordedAt(raw, recorded.Meta)
	event, err := c.registry.Decode(raw.EventType, recorded.Meta.SchemaVersion, raw.Data)
	if err != nil {
		return recorded, fmt.Errorf("%s %d: %w", raw.StreamID, raw.EventNumber, err)
	}
	recorded.Event = event
	return recorded, nil
}

// located returns where an event stands, without the event itself.
func located(raw *esdb.RecordedEvent) domain.Recorded {
	return domain.Recorded{
		ID: raw.EventID, Stream: raw.StreamID, Revision: raw.EventNumber, Position: raw.Position.Commit,
		RecordedAt: raw.CreatedDate.UTC(),
	}
}

func bytesOf(raw *esdb.RecordedEvent) domain.Raw {
	return domain.Raw{Data: raw.Data, Metadata: raw.UserMetadata}
}

// owns returns whether an event is ours. One of another program is not, whatever its type is called.
func (c codec) owns(raw *esdb.RecordedEvent) bool {
	return c.registry.Owns(raw.StreamID, raw.EventType)
}

// decides returns whether nothing may be decided on a stream while an event of it cannot be decoded: one of ours says what this
// program does not know. Another program's says nothing, but in a stream of usage it takes a place that counts. What is called
// a checkpoint says nothing either while it cannot be decoded; one that can, and is not signed, stops the signing.
func (c codec) decides(r domain.Recorded, raw *esdb.RecordedEvent) bool {
	return r.Meta.Ours() || domain.CategoryUsage.Holds(raw.StreamID) || c.owns(raw) && !domain.CategoryTransparency.Holds(raw.StreamID)
}

// isSystem returns whether the store has written an event for itself.
func isSystem(raw *esdb.RecordedEvent) bool { return strings.HasPrefix(raw.EventType, "$") }

// forProjections returns the recorded event with its bytes, as Undecodable when this program cannot read it.
func (c codec) forProjections(raw *esdb.RecordedEvent) domain.Recorded {
	recorded, err := c.decode(raw)
	if err != nil {
		recorded.Event = engine.Undecodable{Type: raw.EventType, Err: err}
	}
	recorded.Raw = bytesOf(raw)
	return recorded
}

// Reader decodes events that were read as they stand in the log.
type Reader struct {
	codec codec
}

// NewReader reads the events of registry that came through client.
func NewReader(client *Client, registry *domain.Registry) Reader {
	return Reader{codec: codec{registry, client}}
}

// Decode returns the event. On an error everything but the event itself is filled in.
func (r Reader) Decode(raw *esdb.RecordedEvent) (domain.Recorded, error) { return r.codec.decode(raw) }

// Owns returns whether an event is ours; those of other programs need not be decodable.
func (r Reader) Owns(raw *esdb.RecordedEvent) bool { return r.codec.owns(raw) }
