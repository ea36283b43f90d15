// Package memorystore is the event store in memory, for tests and benchmarks: the same answers as a node gives, to
// expected revisions, to repeated appends and in what comes back, without a disk. Events are kept encoded and decoded
// on every read, so that what an event's JSON cannot carry is missed here too.
package memorystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Operation is one call of the store, as a fault sees it.
type Operation struct {
	Kind     Kind
	Stream   string
	Expected int64               // of an append
	Events   []commands.Proposed // of an append
}

// Kind names a method of the store.
type Kind string

// The methods of the store.
const (
	Append   Kind = "append"
	Read     Kind = "read"
	ReadLast Kind = "read last"
)

// Fault is what goes wrong with a call.
type Fault int

// The faults. Those "after" concern appends only: the events are durable and the caller does not learn it.
const (
	None              Fault = iota
	Conflict                // ErrConflict, nothing is written
	UnavailableBefore       // ErrStoreUnavailable, nothing is done
	UnavailableAfter        // ErrStoreUnavailable, but the append is done
)

// Store keeps the log in memory. It is safe for concurrent use; its zero value is not usable.
type Store struct {
	registry *domain.Registry
	now      func() time.Time

	mu       sync.Mutex
	streams  map[string][]int // places in log, by revision
	log      []record         // the position of a record is its place plus one
	injected func(Operation) Fault
}

type record struct {
	id       uuid.UUID
	stream   string
	revision uint64
	at       time.Time
	kind     string
	meta     domain.Metadata
	data     []byte
}

// New returns an empty store that stamps what it records with now.
func New(now func() time.Time) *Store {
	return &Store{registry: domain.NewRegistry(), now: now, streams: map[string][]int{}}
}

// Inject decides on the fault of every call from now on; nil ends it. It is called under the store's lock and must not
// call the store.
func (s *Store) Inject(fault func(Operation) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injected = fault
}

func (s *Store) fault(operation Operation) Fault {
	if s.injected == nil {
		return None
	}
	return s.injected(operation)
}

// Append implements commands.EventStore.
func (s *Store) Append(
	ctx context.Context, stream string, expected int64, events []commands.Proposed,
) (commands.Appended, error) {
	if len(events) == 0 {
		return commands.Appended{}, errors.New("append without events")
	}
	encoded, err := s.encode(stream, events)
	if err != nil {
		return commands.Appended{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fault := s.fault(Operation{Append, stream, expected, events})
	switch {
	case ctx.Err() != nil:
		return commands.Appended{}, fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, ctx.Err())
	case fault == Conflict:
		return commands.Appended{}, s.conflict(stream)
	case fault == UnavailableBefore:
		return commands.Appended{}, commands.ErrStoreUnavailable
	}
	appended, err := s.write(stream, expected, encoded)
	if fault == UnavailableAfter {
		return commands.Appended{}, commands.ErrStoreUnavailable
	}
	return appended, err
}

// encode does the costly part outside the lock.
func (s *Store) encode(stream string, events []commands.Proposed) ([]record, error) {
	records := make([]record, len(events))
	for i, proposed := range events {
		data, version, err := s.registry.Encode(proposed.Event)
		if err != nil {
			return nil, err
		}
		meta := proposed.Meta
		meta.SchemaVersion = version
		records[i] = record{id: proposed.ID, stream: stream, kind: proposed.Event.EventType(), meta: meta, data: data}
	}
	return records, nil
}

func (s *Store) write(stream string, expected int64, records []record) (commands.Appended, error) {
	places := s.streams[stream]
	current := int64(len(places)) - 1
	if expected > current || expected < commands.NoStream {
		return commands.Appended{}, s.conflict(stream)
	}
	if expected < current {
		return s.repeated(stream, places[expected+1:], records)
	}
	at := s.now().UTC()
	for i := range records {
		records[i].revision, records[i].at = uint64(len(places)), at
		places = append(places, len(s.log))
		s.log = append(s.log, records[i])
	}
	s.streams[stream] = places
	return appendedAt(s.log[len(s.log)-1], len(s.log)-1), nil
}

// repeated recognises an append that was done before: the same ids in the same order right after the expected revision.
func (s *Store) repeated(stream string, places []int, records []record) (commands.Appended, error) {
	if len(places) < len(records) {
		return commands.Appended{}, s.conflict(stream)
	}
	for i := range records {
		if s.log[places[i]].id != records[i].id {
			return commands.Appended{}, s.conflict(stream)
		}
	}
	place := places[len(records)-1]
	return appendedAt(s.log[place], place), nil
}

func (s *Store) conflict(stream string) error {
	return &commands.ConflictError{Revision: int64(len(s.streams[stream])) - 1}
}

func appendedAt(r record, place int) commands.Appended {
	return commands.Appended{Revision: r.revision, Position: position(place)}
}

func position(place int) uint64 { return uint64(place) + 1 }

// Read implements commands.EventStore.
func (s *Store) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(ctx, Operation{Kind: Read, Stream: stream}); err != nil {
		return nil, err
	}
	places := s.streams[stream]
	places = places[min(max(from, s.firstReadable(stream)), uint64(len(places))):]
	return s.decodeAll(places[:min(max(limit, 0), len(places))])
}

// ReadLast implements commands.EventStore.
func (s *Store) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(ctx, Operation{Kind: ReadLast, Stream: stream}); err != nil {
		return domain.Recorded{}, false, err
	}
	places := s.streams[stream]
	if s.firstReadable(stream) == uint64(len(places)) {
		return domain.Recorded{}, false, nil
	}
	last, err := s.decode(places[len(places)-1])
	return last, err == nil, err
}

// firstReadable returns the revision of the first event that the stream has not forgotten.
func (s *Store) firstReadable(stream string) uint64 {
	age := domain.MaxAge(stream)
	if age == 0 {
		return 0
	}
	oldest := s.now().Add(-age)
	places := s.streams[stream]
	return uint64(sort.Search(len(places), func(i int) bool { return s.log[places[i]].at.After(oldest) }))
}

// All returns the whole log in the order of commits, with the bytes of the events.
func (s *Store) All() ([]domain.Recorded, error) { return s.Behind(0) }

// Behind returns what All does, behind a position.
func (s *Store) Behind(position uint64) ([]domain.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var places []int
	for place := int(position); place < len(s.log); place++ {
		places = append(places, place)
	}
	return s.withBytes(places)
}

// Stream returns what All does, of a stream.
func (s *Store) Stream(stream string) ([]domain.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withBytes(s.streams[stream])
}

// Head returns the position of the newest event.
func (s *Store) Head() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.log))
}

func (s *Store) withBytes(places []int) ([]domain.Recorded, error) {
	events, err := s.decodeAll(places)
	if err != nil {
		return nil, err
	}
	for i, place := range places {
		r := s.log[place]
		metadata, err := json.Marshal(r.meta)
		if err != nil {
			return nil, fmt.Errorf("revision %d of %s: %w", r.revision, r.stream, err)
		}
		events[i].Raw = domain.Raw{Data: r.data, Metadata: metadata}
	}
	return events, nil
}

func (s *Store) readable(ctx context.Context, operation Operation) error {
	fault := s.fault(operation)
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, ctx.Err())
	}
	if fault == UnavailableBefore || fault == UnavailableAfter {
		return commands.ErrStoreUnavailable
	}
	return nil
}

func (s *Store) decodeAll(places []int) ([]domain.Recorded, error) {
	var events []domain.Recorded
	for _, place := range places {
		recorded, err := s.decode(place)
		if err != nil {
			return nil, err
		}
		events = append(events, recorded)
	}
	return events, nil
}

func (s *Store) decode(place int) (domain.Recorded, error) {
	r := s.log[place]
	event, err := s.registry.Decode(r.kind, r.meta.SchemaVersion, r.data)
	if err != nil {
		return domain.Recorded{}, fmt.Errorf("revision %d of %s: %w", r.revision, r.stream, err)
	}
	return domain.Recorded{
		ID: r.id, Stream: r.stream, Revision: r.revision, Position: position(place), RecordedAt: r.at, Meta: r.meta, Event: event,
	}, nil
}
