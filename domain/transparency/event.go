// Package transparency says what the transparency log holds: which events are leaves of the Merkle tree over the log, what of
// them is hashed, and how a checkpoint of the tree is written and read. The tree is that of RFC 6962; golang.org/x/mod does
// the hashing.
package transparency

import (
	"strconv"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
)

// Event is an event as it stands in a stream, byte for byte, and so without what the store adds: its position and its time are
// others in a copy of the log.
type Event struct {
	Type     string
	Stream   string
	Revision uint64
	ID       uuid.UUID
	Data     []byte // as stored
	Metadata []byte // as stored
}

// EventOf returns the event that was recorded, with the bytes that came with it.
func EventOf(r domain.Recorded) Event {
	return Event{Type: r.Event.EventType(), Stream: r.Stream, Revision: r.Revision, ID: r.ID, Data: r.Raw.Data, Metadata: r.Raw.Metadata}
}

// canonicalName begins the canonical form. Another form needs another name.
const canonicalName = "liveness-event/1\n"

// Canonical returns the bytes that are hashed: a line each with the form's name, type, stream, revision and id, then data and
// metadata, each behind a line with its length in bytes.
//
//	liveness-event/1
//	HourSealed
//	sealedhours-202611
//	3
//	00000000-0000-0000-0000-000000000005
//	65
//	{"hour":…}180
//	{"$correlationId":…}
func (e Event) Canonical() []byte {
	size := len(canonicalName) + len(e.Type) + len(e.Stream) + len(e.Data) + len(e.Metadata) + 100
	form := append(make([]byte, 0, size), canonicalName...)
	form = append(append(form, e.Type...), '\n')
	form = append(append(form, e.Stream...), '\n')
	form = append(strconv.AppendUint(form, e.Revision, 10), '\n')
	form = append(append(form, e.ID.String()...), '\n')
	form = append(strconv.AppendInt(form, int64(len(e.Data)), 10), '\n')
	form = append(form, e.Data...)
	form = append(strconv.AppendInt(form, int64(len(e.Metadata)), 10), '\n')
	return append(form, e.Metadata...)
}

// LeafHash returns the hash of the event's leaf in the tree.
func (e Event) LeafHash() tlog.Hash { return tlog.RecordHash(e.Canonical()) }

var registry = domain.NewRegistry()

// IsLeaf returns whether an event of a type in a stream is a leaf. All of the product's are, but for those of streams that
// forget: a tree over what can be gone could not be computed again. Others' events and the store's own are none.
func IsLeaf(stream, eventType string) bool {
	return registry.Owns(stream, eventType) && domain.MaxAge(stream) == 0
}

// LeafTypes lists the types of the events that are leaves.
func LeafTypes() []string {
	var types []string
	for _, schema := range registry.Schemas() {
		if schema.Category != domain.CategoryLogins {
			types = append(types, schema.Type)
		}
	}
	return types
}
