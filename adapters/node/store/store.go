package store

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Options tune a store; the zero value is ready for use.
type Options struct {
	Logger *slog.Logger
	// Now is the clock of the events' creation time; time.Now by default.
	Now func() time.Time
	// MaxAppendBytes limits data, metadata and types of one append; 1 MiB by default.
	MaxAppendBytes int
	// MaxPages limits the database file, in pages; 0 = as large as the disk allows.
	MaxPages int64
}

// Store is an open event store. All methods are safe for concurrent use.
type Store struct{}

// Slice is one page of a read. It may hold fewer events than asked for, even none, without being the end.
type Slice struct {
	Events []Event
	// Next is where the following page begins: a revision for a stream, a position for the log.
	Next uint64
	// End says that there is nothing further in this direction at the moment.
	End bool
}

// StreamState is what a stream is like at the moment.
type StreamState struct {
	// Last is the last revision ever given, -1 without events.
	Last int64
	// FirstVisible is the first revision that a read can still show ($tb, $maxCount, $maxAge applied).
	FirstVisible uint64
	// SoftDeleted streams are not found by readers but may be appended to.
	SoftDeleted bool
	// Tombstoned streams are gone for ever.
	Tombstoned bool
}

// Record is a small durable value of the node itself, such as a persistent subscription's settings or checkpoint. Records
// are not events: they are not in the log and keep no history.
type Record struct {
	Bucket, Key string
	// Value nil deletes the record.
	Value []byte
}

var errPending = errors.New("not yet")

// Open opens the store in a directory, creating it when missing. It refuses a directory that another process has open
// (ErrInUse) and a database that is torn or behind what was acknowledged (ErrCorrupt).
func Open(ctx context.Context, dir string, options Options) (*Store, error) { return nil, errPending }

// Close finishes the waiting writes, wakes everyone who waits for events with ErrClosed and releases the directory.
func (s *Store) Close() error { return errPending }

// Append writes events to one stream, all or nothing, and returns when they are durable. Concurrent appends share one
// transaction. Errors: WrongExpectedError, StreamDeletedError, TooLargeError, ErrInvalid, ErrFull, ErrClosed.
func (s *Store) Append(ctx context.Context, w Write) (Result, error) { return Result{}, errPending }

// AppendAsync queues an append and returns once it has its place in the order of writes; done is called exactly once, from
// the writer, and must not block. It waits while the queue is full; an error means that done will not be called.
func (s *Store) AppendAsync(ctx context.Context, w Write, done func(Result, error)) error {
	return errPending
}

// Delete soft-deletes a stream and returns the position of the change.
func (s *Store) Delete(ctx context.Context, stream string, expected Expected) (uint64, error) {
	return 0, errPending
}

// Tombstone ends a stream for ever and returns the position of the change.
func (s *Store) Tombstone(ctx context.Context, stream string, expected Expected) (uint64, error) {
	return 0, errPending
}

// ReadStream reads a page of at most limit events of a stream from a revision, inclusive in both directions (End = last).
// Errors: ErrStreamNotFound, StreamDeletedError.
func (s *Store) ReadStream(ctx context.Context, stream string, direction Direction, from uint64, limit int) (Slice, error) {
	return Slice{}, errPending
}

// ReadAll reads a page of at most limit events of the log. Forwards begins with the event at the position, backwards with
// the one before it.
func (s *Store) ReadAll(ctx context.Context, direction Direction, from uint64, limit int) (Slice, error) {
	return Slice{}, errPending
}

// ReadEvent returns one event of a stream, as a link names it; false when it is not there or no longer visible.
func (s *Store) ReadEvent(ctx context.Context, stream string, revision uint64) (Event, bool, error) {
	return Event{}, false, errPending
}

// StreamState returns what a stream is like at the moment; also for streams that do not exist.
func (s *Store) StreamState(ctx context.Context, stream string) (StreamState, error) {
	return StreamState{}, errPending
}

// Head returns the position of the last visible event, 0 for an empty log.
func (s *Store) Head() uint64 { return 0 }

// WaitBeyond returns once the log has an event behind the position. Errors: the context's, ErrClosed.
func (s *Store) WaitBeyond(ctx context.Context, position uint64) error { return errPending }

// Watch tells about writes to one stream from now on. Register before reading, and nothing is missed: read to the end, wait
// for C, read on. Stop must be called.
func (s *Store) Watch(stream string) *Watch { return nil }

// Watch is a registration for writes to one stream.
type Watch struct {
	// C receives a value after writes to the stream; several writes may share one. It is closed when the store closes.
	C <-chan struct{}
}

// Stop ends the registration.
func (w *Watch) Stop() {}

// PutRecords writes and deletes records, all or nothing, durable on return.
func (s *Store) PutRecords(ctx context.Context, records ...Record) error { return errPending }

// DeleteBucket deletes all records of a bucket, durable on return.
func (s *Store) DeleteBucket(ctx context.Context, bucket string) error { return errPending }

// Records returns at most limit records of a bucket with keys behind after, in the order of keys (bytewise).
func (s *Store) Records(ctx context.Context, bucket, after string, limit int) ([]Record, error) {
	return nil, errPending
}

// CountRecords returns how many records a bucket has.
func (s *Store) CountRecords(ctx context.Context, bucket string) (int, error) { return 0, errPending }
