package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// NoStream is the revision that an append expects of a stream without events. Any other expected revision is that of
// the last event the decision has seen; there is no "any": nobody can forget to say what they decided on.
const NoStream int64 = -1

// Proposed is an event that wants to be written. Its id makes a repeated append recognisable.
type Proposed struct {
	ID    uuid.UUID
	Event domain.Event
	Meta  domain.Metadata
}

// Appended says where the last event of an append stands.
type Appended struct {
	Revision uint64
	Position uint64
}

// EventStore is the log.
//
// Append writes all events or none. It returns a ConflictError when the stream's revision is not the expected one, and
// ErrStoreUnavailable when the outcome is not known: repeating the identical append then is safe and gives the answer.
// A conflict may be answered a moment before the event that won can be read.
//
// A stream with an age limit (domain.MaxAge) forgets what is older: it can no longer be read, also when that is all, while
// revisions go on where they were. The store sets the limit when the stream is first appended to.
//
// Read returns at most limit events of a stream from a revision on, oldest first; none when the stream does not exist. What
// another program has appended to a stream of ours comes without its Event and folds into nothing, so that it stops no command.
// It is a failure in a stream of usage, whose length is a count.
//
// ReadLast returns the newest event of a stream that is the product's; false when there is none.
type EventStore interface {
	Append(ctx context.Context, stream string, expected int64, events []Proposed) (Appended, error)
	Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error)
	ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error)
}

// What an EventStore fails with.
var (
	ErrConflict         = errors.New("stream has moved on")
	ErrStoreUnavailable = errors.New("event store is not available")
	// ErrStoreDown is ErrStoreUnavailable of a store that is known not to answer, so that nothing was sent to it.
	ErrStoreDown = fmt.Errorf("%w: it is known to be down", ErrStoreUnavailable)
	// ErrOutcomeUnknown says that an append was sent, and that nobody has learned whether its events stand in the log.
	ErrOutcomeUnknown = errors.New("whether the events were appended is not known")
)

// ConflictError is an ErrConflict that knows how far the stream has come.
type ConflictError struct {
	Revision int64 // of the stream's last event, NoStream when it has none
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v to revision %d", ErrConflict, e.Revision)
}

// Is returns whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Barrier waits until a read model shows everything up to a commit position, on whichever node it is maintained.
type Barrier interface {
	WaitFor(ctx context.Context, readModel string, position uint64) error
}
