package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Store is the log as commands see it.
type Store struct {
	client *Client
	codec  codec

	refusal atomic.Pointer[error] // why nothing is read or written; nil while it is
}

var _ commands.EventStore = (*Store)(nil)

// NewStore reads and writes the events of registry.
func NewStore(client *Client, registry *domain.Registry) *Store {
	return &Store{client: client, codec: codec{registry, client}}
}

// Refuse has everything fail at once, as if the store were down, until it is called with nil. It is for a log that nothing may
// be decided on.
func (s *Store) Refuse(why error) {
	if why == nil {
		s.refusal.Store(nil)
		return
	}
	refusal := fmt.Errorf("%w: %w", commands.ErrStoreDown, why)
	s.refusal.Store(&refusal)
}

// refused returns why nothing is read or written.
func (s *Store) refused() error {
	if why := s.refusal.Load(); why != nil {
		return *why
	}
	return nil
}

// Append writes events at the expected revision; see commands.EventStore.
func (s *Store) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	if err := s.refused(); err != nil {
		return commands.Appended{}, err
	}
	data := make([]esdb.EventData, len(events))
	for i, event := range events {
		encoded, err := s.codec.encode(event)
		if err != nil {
			return commands.Appended{}, err
		}
		data[i] = encoded
	}
	if age := domain.MaxAge(stream); age > 0 {
		if err := s.client.LimitAge(ctx, stream, age); err != nil {
			// Not a reason to lose the events: the next append tries again.
			s.client.log.WarnContext(ctx, "the age limit of a stream is not set", "stream", stream, "error", lacks("write the metadata of "+stream, err))
		}
	}
	ctx, span := traceAppend(ctx, stream, events)
	attempt, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	began := time.Now()
	result, err := s.client.append(attempt, stream, expectedRevision(expected), data...)
	s.client.metrics.observeAppend(len(data), began, err)
	span.End(err)
	if err != nil {
		return commands.Appended{}, lacks("append to stream "+stream, err)
	}
	return commands.Appended{Revision: result.NextExpectedVersion, Position: result.CommitPosition}, nil
}

// append appends to a stream.
func (c *Client) append(ctx context.Context, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) (*esdb.WriteResult, error) {
	send := func(expected esdb.ExpectedRevision, events ...esdb.EventData) (*esdb.WriteResult, error) {
		return call(ctx, c, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
			return client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
		})
	}
	if err := c.availability.admitAppend(); err != nil {
		return nil, err
	}
	sent := time.Now()
	result, err := send(expected, events...)
	c.availability.observeAppend(c, sent, err)
	if !errors.Is(err, io.EOF) {
		return result, err
	}
	// The node refused before everything was sent, so that nothing is written, and the client does not read why: another
	// leader, a right that is missing. It does for an append that is too short to be cut off, and that has nothing to write.
	_, why := send(esdb.Revision(math.MaxInt64))
	if why != nil && !errors.Is(why, commands.ErrConflict) && !errors.Is(why, io.EOF) {
		return nil, why
	}
	return nil, err
}

func expectedRevision(expected int64) esdb.ExpectedRevision {
	if expected == commands.NoStream {
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(expected))
}

// conflictError returns how far the stream has come. The official client gives the revision in its message alone; should
// it ever word that otherwise, the conflict stays one without a revision.
func conflictError(failure *esdb.Error) error {
	current := commands.NoStream
	if _, after, ok := strings.Cut(failure.Err().Error(), " but got '"); !ok {
		return fmt.Errorf("%w: %w", commands.ErrConflict, failure)
	} else if text := strings.TrimSuffix(after, "'"); text != "no_stream" {
		revision, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %w", commands.ErrConflict, failure)
		}
		current = revision
	}
	return &commands.ConflictError{Revision: current}
}

// Read returns a page of a stream, oldest first.
func (s *Store) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	return s.read(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(from)}, limit)
}

// ReadLast returns the newest event of a stream that is the product's.
func (s *Store) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	options := esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}
	for limit := 1; ; limit = commands.PageSize { // behind it others' are rare
		page, err := s.read(ctx, stream, options, limit)
		if err != nil {
			return domain.Recorded{}, false, err
		}
		for _, recorded := range page {
			if recorded.Event != nil {
				return recorded, true, nil
			}
			if recorded.Revision == 0 {
				return domain.Recorded{}, false, nil
			}
			options.From = esdb.Revision(recorded.Revision - 1)
		}
		if len(page) < limit {
			return domain.Recorded{}, false, nil
		}
	}
}

func (s *Store) read(ctx context.Context, stream string, options esdb.ReadStreamOptions, limit int) ([]domain.Recorded, error) {
	if err := s.refused(); err != nil {
		return nil, err
	}
	raw, err := s.readRaw(ctx, stream, options, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, lacks("read "+stream, err))
	}
	page := make([]domain.Recorded, len(raw))
	for i, event := range raw {
		if page[i], err = s.codec.decode(event); err != nil && s.codec.decides(page[i], event) {
			return nil, err
		}
	}
	return page, nil
}

func (s *Store) readRaw(ctx context.Context, stream string, options esdb.ReadStreamOptions, limit int) (_ []*esdb.RecordedEvent, err error) {
	ctx, span := traceRead(ctx, stream)
	began := time.Now()
	defer func() {
		s.client.metrics.observeRead(began, err)
		span.End(err)
	}()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return call(ctx, s.client, func(ctx context.Context, client *esdb.Client) ([]*esdb.RecordedEvent, error) {
		reading, err := client.ReadStream(ctx, stream, options, uint64(limit))
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		var page []*esdb.RecordedEvent
		for {
			event, err := reading.Recv()
			if IsEnd(err) {
				return page, nil
			}
			if err != nil {
				return nil, err
			}
			page = append(page, event.OriginalEvent())
		}
	})
}
