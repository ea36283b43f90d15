package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
)

const (
	defaultMaxAppendBytes = 1 << 20
	defaultOpenCheck      = 5 * time.Second
	// readers is the number of connections that read at the same time.
	readers = 4
)

// Options tune a store; the zero value is ready for use.
type Options struct {
	Logger *slog.Logger
	// Now is the clock of the events' creation time; time.Now by default.
	Now func() time.Time
	// MaxAppendBytes limits data, metadata and types of one append; 1 MiB by default.
	MaxAppendBytes int
	// LimitDataOnly leaves metadata and types out of that limit.
	LimitDataOnly bool
	// LinksInLog makes the streams $ce-… and $et-… ordinary ones that somebody writes to, instead of an index of the log.
	LinksInLog bool
	// HoldCommit is asked before every commit, with whether a write has lost against another one of the same transaction.
	// While the channel it returns is open, nothing of the transaction can be read, writes that come join it, and those
	// that lose are answered at once: before their winner can be read. Nothing is held by a nil channel, or without the
	// function.
	HoldCommit func(conflict bool) <-chan struct{}
	// MaxPages limits the database file, in pages; 0 = as large as the disk allows.
	MaxPages int64
	// OpenCheck is how long Open may examine the database beyond its newest part; 5 s by default. What it does not reach is
	// checked when it is read, and by Verify.
	OpenCheck time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxAppendBytes <= 0 {
		o.MaxAppendBytes = defaultMaxAppendBytes
	}
	if o.OpenCheck <= 0 {
		o.OpenCheck = defaultOpenCheck
	}
	return o
}

// Store is an open event store. All methods are safe for concurrent use.
type Store struct {
	dir      string
	options  Options
	instance uuid.UUID
	lock     *flock.Flock
	marker   *marker
	spare    *spare
	tail     *tail
	marks    *marks
	metrics  *metrics
	readers  chan *conn

	room    *semaphore.Weighted // bytes waiting for the writer
	queue   chan *job
	written chan struct{} // closed when the writer has ended

	closing sync.RWMutex // held for reading while a write is queued
	closed  bool
	writeDB *conn
	// evidence keeps the write-ahead log as it is while Open may still refuse the store: the last connection to close writes the log
	// into the database and deletes it, unless that connection only reads, as this one does.
	evidence *conn
}

// Dir is the directory of the store.
func (s *Store) Dir() string { return s.dir }

// Instance identifies the store; it stays the same over restarts and in backups.
func (s *Store) Instance() uuid.UUID { return s.instance }

// MaxAppendBytes is the limit of one append.
func (s *Store) MaxAppendBytes() int { return s.options.MaxAppendBytes }

// Close finishes the waiting writes, wakes everyone who waits for events with ErrClosed and releases the directory.
func (s *Store) Close() error {
	s.closing.Lock()
	if s.closed {
		s.closing.Unlock()
		<-s.written
		return nil
	}
	s.closed = true
	close(s.queue)
	s.closing.Unlock()
	<-s.written
	s.tail.close()
	if err := s.releaseAll(); err != nil {
		return fmt.Errorf("close event store: %w", err)
	}
	return nil
}

// Append writes events to one stream, all or nothing, and returns when they are durable. Concurrent appends share one
// transaction. When the context ends first the outcome is unknown; the same append may be repeated. Errors:
// WrongExpectedError, StreamDeletedError, TooLargeError, ErrInvalid, ErrFull, ErrClosed.
func (s *Store) Append(ctx context.Context, w Write) (Result, error) {
	size, err := w.check(&s.options)
	if err != nil {
		return Result{}, err
	}
	return s.write(ctx, size, func(t *transaction) (Result, error) { return t.append(&w) })
}

// AppendAsync queues an append and returns once it has its place in the order of writes; done is called exactly once, from
// the writer, and must not block. It waits while the queue is full; an error means that done will not be called.
func (s *Store) AppendAsync(ctx context.Context, w Write, done func(Result, error)) error {
	size, err := w.check(&s.options)
	if err != nil {
		return err
	}
	return s.enqueue(ctx, size, func(t *transaction) (Result, error) { return t.append(&w) }, done)
}

// Delete soft-deletes a stream and returns the position of the change. Errors: as Append.
func (s *Store) Delete(ctx context.Context, stream string, expected Expected) (uint64, error) {
	if err := checkDeletable(stream, expected); err != nil {
		return 0, err
	}
	result, err := s.write(ctx, 0, func(t *transaction) (Result, error) { return t.delete(stream, expected) })
	return result.Position, err
}

// Tombstone ends a stream for ever and returns the position of the change. Errors: as Append.
func (s *Store) Tombstone(ctx context.Context, stream string, expected Expected) (uint64, error) {
	if err := checkDeletable(stream, expected); err != nil {
		return 0, err
	}
	result, err := s.write(ctx, 0, func(t *transaction) (Result, error) { return t.tombstone(stream, expected) })
	return result.Position, err
}

func (s *Store) write(ctx context.Context, size int, apply func(*transaction) (Result, error)) (Result, error) {
	type outcome struct {
		result Result
		err    error
	}
	done := make(chan outcome, 1)
	if err := s.enqueue(ctx, size, apply, func(result Result, err error) { done <- outcome{result, err} }); err != nil {
		return Result{}, err
	}
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

func (s *Store) enqueue(ctx context.Context, size int, apply func(*transaction) (Result, error), done func(Result, error)) error {
	weight := min(int64(size)+256, queuedBytes)
	if err := s.room.Acquire(ctx, weight); err != nil {
		return err
	}
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		s.room.Release(weight)
		return ErrClosed
	}
	select {
	case s.queue <- &job{ctx: ctx, size: weight, apply: apply, done: done}:
		return nil
	case <-ctx.Done():
		s.room.Release(weight)
		return ctx.Err()
	}
}

// ReadStream reads a page of at most limit events of a stream from a revision, inclusive in both directions (End = last).
// Errors: ErrStreamNotFound, StreamDeletedError, ErrCorrupt, ErrClosed.
func (s *Store) ReadStream(ctx context.Context, stream string, direction Direction, from uint64, limit int) (slice Slice, err error) {
	err = s.read(ctx, func(c *conn) error {
		state, err := s.state(ctx, c, stream)
		switch {
		case err != nil:
			return err
		case state.Tombstoned:
			return &StreamDeletedError{Stream: stream}
		case state.Missing():
			return ErrStreamNotFound
		case s.options.isIndex(stream):
			slice, err = s.marks.read(ctx, c, stream, state, direction, from, limit)
		default:
			slice, err = c.readStream(ctx, state, direction, from, limit)
		}
		return err
	})
	return slice, err
}

// ReadAll reads a page of at most limit events of the log. Forwards begins with the event at the position, backwards with
// the one before it.
func (s *Store) ReadAll(ctx context.Context, direction Direction, from uint64, limit int) (slice Slice, err error) {
	if direction == Forwards {
		if slice, ok := s.tail.read(from, max(1, min(limit, pageEvents))); ok {
			return slice, ctx.Err()
		}
	} else {
		// The database has what was committed just now a moment before subscribers do. Who took that for the end of the log
		// would believe a subscription that has caught up to have delivered it.
		from = min(from, s.Head()+1)
	}
	err = s.read(ctx, func(c *conn) error {
		slice, err = c.readAll(ctx, direction, from, limit)
		return err
	})
	return slice, err
}

// ReadEvent returns one event of a stream, as a link names it; false when it is not there or no longer visible.
func (s *Store) ReadEvent(ctx context.Context, stream string, revision uint64) (event Event, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		state, err := s.state(ctx, c, stream)
		if err != nil {
			return err
		}
		if s.options.isIndex(stream) {
			if state.Last < 0 || revision > uint64(state.Last) {
				return nil
			}
			slice, err := s.marks.read(ctx, c, stream, state, Forwards, revision, 1)
			if err == nil && len(slice.Events) == 1 {
				event, found = slice.Events[0], true
			}
			return err
		}
		event, found, err = c.readEvent(ctx, state, revision)
		return err
	})
	return event, found, err
}

// StreamState returns what a stream is like at the moment; also for streams that do not exist.
func (s *Store) StreamState(ctx context.Context, stream string) (state StreamState, err error) {
	err = s.read(ctx, func(c *conn) error {
		state, err = s.state(ctx, c, stream)
		return err
	})
	return state, err
}

func (s *Store) state(ctx context.Context, c *conn, stream string) (StreamState, error) {
	if s.options.isIndex(stream) {
		return s.marks.state(ctx, c, stream)
	}
	return c.state(ctx, stream, s.options.Now())
}

// read runs f with a connection of the pool. Pages are short, so f is not interrupted; the context bounds the wait.
func (s *Store) read(ctx context.Context, f func(c *conn) error) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		return f(c)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Head returns the position of the last visible event, 0 for an empty log.
func (s *Store) Head() uint64 { return s.tail.position() }

// WaitBeyond returns once the log has an event behind the position. Errors: the context's, ErrClosed.
func (s *Store) WaitBeyond(ctx context.Context, position uint64) error {
	return s.tail.waitBeyond(ctx, position)
}

// Watch tells about writes to one stream from now on. Register before reading, and nothing is missed: read to the end, wait
// for C, read on. Stop must be called.
func (s *Store) Watch(stream string) *Watch { return s.tail.watch(stream) }
