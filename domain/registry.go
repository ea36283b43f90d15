package domain

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	// Reads what encoding/json reads, and as it does, in half the time: whoever replays a log decodes nothing but events.
	decoding "github.com/go-json-experiment/json/v1"
)

// Upcaster turns the JSON of one version of an event into that of the next.
type Upcaster func(old json.RawMessage) (json.RawMessage, error)

// ErrUnknownEvent is returned for a type or version that this program does not know, for instance one that a newer
// program has written.
var ErrUnknownEvent = errors.New("unknown event")

// Schema describes how one event type stands in the log.
type Schema struct {
	Type      string
	Version   int
	Category  Category   // of the streams that hold it
	upcasters []Upcaster // upcasters[i] leads from version i+1 to i+2
	decode    func(json.RawMessage) (Event, error)
}

// Registry knows every event type, its current version and the way there from every older one.
type Registry struct {
	schemas map[string]Schema
}

// register adds the event type of T, which stands in streams of a category, at the version that its upcasters lead to.
func register[T Event](r *Registry, category Category, upcasters ...Upcaster) {
	var zero T
	name := zero.EventType()
	r.schemas[name] = Schema{
		Type:      name,
		Version:   len(upcasters) + 1,
		Category:  category,
		upcasters: upcasters,
		decode: func(data json.RawMessage) (Event, error) {
			var event T
			err := decoding.Unmarshal(data, &event)
			return event, err
		},
	}
}

// NewRegistry returns the registry of all events of the product.
func NewRegistry() *Registry {
	r := &Registry{schemas: map[string]Schema{}}
	registerSubscriptionEvents(r)
	registerAccountEvents(r)
	registerLoginEvents(r)
	registerMailAddressEvents(r)
	registerAPIKeyEvents(r)
	registerUsageEvents(r)
	registerSealingEvents(r)
	registerMeteringEvents(r)
	registerCreditEvents(r)
	registerMarketplaceEvents(r)
	registerProjectionEvents(r)
	registerUsageNoticeEvents(r)
	registerNotificationEvents(r)
	registerDeviceEvents(r)
	registerMembersEvents(r)
	registerTransparencyEvents(r)
	registerErasureEvents(r)
	return r
}

// Schemas lists all event types by name.
func (r *Registry) Schemas() []Schema {
	return slices.SortedFunc(maps.Values(r.schemas), func(x, y Schema) int { return cmp.Compare(x.Type, y.Type) })
}

// Owns returns whether an event of a type in a stream is the product's: the type is registered and the stream is one of
// its category. A log may be shared with other programs, whose events may bear the same type's name or stand in streams
// that begin alike; nothing of theirs may be decoded or acted on.
func (r *Registry) Owns(stream, eventType string) bool {
	schema, ok := r.schemas[eventType]
	return ok && schema.Category.Holds(stream)
}

// OwnsStream returns whether a stream is named as the product names its streams.
func (r *Registry) OwnsStream(stream string) bool {
	for _, schema := range r.schemas {
		if schema.Category.Holds(stream) {
			return true
		}
	}
	return false
}

// Encode returns the JSON of an event and the version of its shape.
func (r *Registry) Encode(event Event) (data []byte, version int, err error) {
	schema, ok := r.schemas[event.EventType()]
	if !ok {
		return nil, 0, fmt.Errorf("encode %s: %w", event.EventType(), ErrUnknownEvent)
	}
	data, err = json.Marshal(event)
	if err != nil {
		return nil, 0, fmt.Errorf("encode %s: %w", event.EventType(), err)
	}
	return data, schema.Version, nil
}

// Decode reads an event of any version up to the current one. Fields it does not know are ignored, so that a newer
// program may add some while an older one still runs.
func (r *Registry) Decode(eventType string, version int, data []byte) (Event, error) {
	schema, ok := r.schemas[eventType]
	if !ok || version < 1 || version > schema.Version {
		return nil, fmt.Errorf("decode %s version %d: %w", eventType, version, ErrUnknownEvent)
	}
	raw := json.RawMessage(data)
	for v := version; v < schema.Version; v++ {
		upcast, err := schema.upcasters[v-1](raw)
		if err != nil {
			return nil, fmt.Errorf("upcast %s from version %d: %w", eventType, v, err)
		}
		raw = upcast
	}
	event, err := schema.decode(raw)
	if err != nil {
		return nil, fmt.Errorf("decode %s version %d: %w", eventType, version, err)
	}
	return event, nil
}
