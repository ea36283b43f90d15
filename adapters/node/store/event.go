// Package store is the durable log of the embedded event-store node: streams of events with gapless revisions in one
// totally ordered log, kept in an embedded SQL database with group commit. It knows nothing of gRPC.
//
// Whatever a reader sees is durable: an event becomes visible only after its commit has reached the disk, in the order of
// positions.
package store

import (
	"math"

	"github.com/google/uuid"
)

// Content types an event can have; every other one is stored as ContentTypeBinary.
const (
	ContentTypeJSON   = "application/json"
	ContentTypeBinary = "application/octet-stream"
)

// Types and names with a meaning of their own in the log.
const (
	// MetadataType is the type of the events in a metadata stream.
	MetadataType = "$metadata"
	// LinkType is the type of an event whose data is "<revision>@<stream>" of another one.
	LinkType = "$>"
	// TombstoneType is the type of the event that ends a stream for ever.
	TombstoneType = "$streamDeleted"
	// MetadataPrefix before a stream's name names the stream of its metadata.
	MetadataPrefix = "$$"
)

// TombstoneRevision is the revision of the event that ends a stream, and as $tb the mark of a soft-deleted stream.
const TombstoneRevision uint64 = math.MaxInt64

// End is a position or revision behind everything there is.
const End uint64 = math.MaxUint64

// Event is one recorded event. Its slices are shared between readers: they must not be changed.
type Event struct {
	ID          uuid.UUID
	Stream      string
	Revision    uint64
	Position    uint64
	Type        string
	ContentType string
	// Created is the time of the write in ticks of 100 ns since the Unix epoch; it never falls from one position to the next.
	Created  int64
	Data     []byte
	Metadata []byte
}

// NewEvent is an event to be appended.
type NewEvent struct {
	ID          uuid.UUID
	Type        string
	ContentType string
	Data        []byte
	Metadata    []byte
}

// Direction is the order of a read.
type Direction int

// The two orders of a read.
const (
	Forwards Direction = iota
	Backwards
)

// Expected is what a writer expects of a stream: one of the constants, or the exact revision of its last event.
type Expected int64

// Expectations other than an exact revision; the numbers are those the protocol shows in error trailers.
const (
	ExpectNoStream     Expected = -1
	ExpectAny          Expected = -2
	ExpectStreamExists Expected = -4
)

// Write is one all-or-nothing append to one stream.
type Write struct {
	Stream   string
	Expected Expected
	Events   []NewEvent
}

// Result tells where an append ended.
type Result struct {
	// Revision of the last event, or of the stream's present last event for an append without events (-1 = none).
	Revision int64
	// Position of the last event; 0 for an append without events.
	Position uint64
}
