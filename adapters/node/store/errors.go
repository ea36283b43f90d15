package store

import (
	"errors"
	"fmt"
)

// Errors without details. They are found with errors.Is.
var (
	// ErrStreamNotFound says that a stream never had an event or is soft-deleted.
	ErrStreamNotFound = errors.New("stream not found")
	// ErrFull says that the disk, or the database's own limit, has no room for a write. Reading goes on.
	ErrFull = errors.New("no space left for the event store")
	// ErrClosed says that the store is closing or closed; the write did not happen.
	ErrClosed = errors.New("event store is closed")
	// ErrInUse says that another process has the directory open.
	ErrInUse = errors.New("event store directory is in use by another process")
	// ErrCorrupt says that what is on disk is not what was acknowledged.
	ErrCorrupt = errors.New("event store is damaged")
	// ErrInvalid says that a request cannot be carried out whatever the state of the store.
	ErrInvalid = errors.New("invalid request")
)

// WrongExpectedError says that a stream is not where the writer expected it. Current is -1 for a stream without events.
type WrongExpectedError struct {
	Stream   string
	Expected Expected
	Current  int64
}

func (e *WrongExpectedError) Error() string {
	return fmt.Sprintf("stream %q: expected revision %d, is at %d", e.Stream, e.Expected, e.Current)
}

// StreamDeletedError says that a stream was tombstoned, or soft-deleted where an existing stream was expected.
type StreamDeletedError struct {
	Stream string
}

func (e *StreamDeletedError) Error() string {
	return fmt.Sprintf("stream %q is deleted", e.Stream)
}

// TooLargeError says that one append is larger than the limit, in bytes of data, metadata and type together.
type TooLargeError struct {
	Size, Limit int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("append of %d bytes exceeds the limit of %d bytes", e.Size, e.Limit)
}
