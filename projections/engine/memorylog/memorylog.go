// Package memorylog is a log in memory that read models can follow, for tests. It is as strict as a store
// and as forgetful as the process.
package memorylog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// Log is a log in memory that keeps the contract of engine.Source. Positions are ten apart, records a second.
type Log struct {
	BatchSize int          // most events in a batch
	Nacks     atomic.Int32 // batches that were given back

	registry *domain.Registry

	mu     sync.Mutex
	events []domain.Recorded
	last   map[string]uint64 // next revision of each stream
	grown  chan struct{}     // closed when events are appended
}

// New returns an empty log.
func New() *Log {
	return &Log{BatchSize: 100, registry: domain.NewRegistry(), last: map[string]uint64{}, grown: make(chan struct{})}
}

// Epoch is when the first event of a log is recorded.
var Epoch = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

// Append records events one second apart, ten positions apart, and gives the position of the last.
func (l *Log) Append(stream string, events ...domain.Event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var position uint64
	for _, event := range events {
		n := len(l.events)
		position = uint64(n+1) * 10
		raw := l.raw(event)
		l.events = append(l.events, domain.Recorded{
			ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n, stream, raw.Data)), Stream: stream, Revision: l.last[stream], Position: position,
			RecordedAt: Epoch.Add(time.Duration(n) * time.Second), Meta: domain.Metadata{Actor: domain.ActorUser}, Event: event, Raw: raw,
		})
		l.last[stream]++
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return position
}

// raw returns what a store would hold; of an event of another program, nothing.
func (l *Log) raw(event domain.Event) domain.Raw {
	data, version, err := l.registry.Encode(event)
	if err != nil {
		return domain.Raw{}
	}
	return domain.Raw{Data: data, Metadata: fmt.Appendf(nil, `{"actor":%q,"schemaVersion":%d}`, domain.ActorUser, version)}
}

// All returns every event.
func (l *Log) All() []domain.Recorded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]domain.Recorded(nil), l.events...)
}

// Head implements engine.Source.
func (l *Log) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.events)) * 10, nil
}

// Holds implements engine.Source.
func (l *Log) Holds(_ context.Context, mark engine.Mark) (bool, error) {
	return slices.ContainsFunc(l.All(), func(r domain.Recorded) bool {
		return r.ID == mark.ID && r.Position == mark.Position && r.Stream == mark.Stream && r.Revision == mark.Revision
	}), nil
}

// RecordedBehind implements engine.Source.
func (l *Log) RecordedBehind(_ context.Context, position uint64) (time.Time, error) {
	for _, recorded := range l.All() {
		if recorded.Position > position {
			return recorded.RecordedAt, nil
		}
	}
	return time.Time{}, nil
}

// ReadStream implements engine.Source.
func (l *Log) ReadStream(_ context.Context, stream string) ([]domain.Recorded, error) {
	return slices.DeleteFunc(l.All(), func(r domain.Recorded) bool { return r.Stream != stream }), nil
}

// Subscriber implements engine.Source.
func (l *Log) Subscriber(_ string, eventTypes []string, from func(context.Context) (engine.Place, error)) message.Subscriber {
	wanted := map[string]bool{}
	for _, t := range eventTypes {
		wanted[t] = true
	}
	return &subscriber{log: l, wanted: wanted, from: from, closed: make(chan struct{})}
}

type subscriber struct {
	log    *Log
	wanted map[string]bool
	from   func(context.Context) (engine.Place, error)
	work   sync.WaitGroup
	close  sync.Once
	closed chan struct{}
}

// Subscribe implements message.Subscriber.
func (s *subscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	place, err := s.from(ctx)
	if err != nil {
		return nil, err
	}
	if head, _ := s.log.Head(ctx); place.Position > head {
		return nil, fmt.Errorf("%w: position %d was reached and the log ends at %d", engine.ErrOtherLog, place.Position, head)
	}
	messages := make(chan *message.Message)
	ctx, cancel := context.WithCancel(ctx)
	s.work.Go(func() {
		<-s.closed
		cancel()
	})
	s.work.Go(func() {
		defer close(messages)
		for caughtUp := false; ; {
			batch, grown := s.next(place)
			if batch.Position == place.Position && caughtUp {
				select {
				case <-grown:
					continue
				case <-ctx.Done():
					return
				}
			}
			if !engine.Deliver(ctx, messages, batch, 0, func() { s.log.Nacks.Add(1) }) {
				return
			}
			place = engine.Place{Position: batch.Position, Started: true}
			caughtUp = caughtUp || batch.CaughtUp
		}
	})
	return messages, nil
}

func (s *subscriber) next(place engine.Place) (engine.Batch, <-chan struct{}) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	batch := engine.Batch{Position: place.Position}
	read := 0
	if place.Started {
		read = int(place.Position / 10) // positions are ten apart
	}
	for _, recorded := range s.log.events[read:] {
		if len(batch.Events) == s.log.BatchSize {
			return batch, s.log.grown
		}
		batch.Position = recorded.Position
		if s.wanted[recorded.Event.EventType()] {
			batch.Events = append(batch.Events, recorded)
		}
	}
	batch.CaughtUp = true
	return batch, s.log.grown
}

// Close implements message.Subscriber.
func (s *subscriber) Close() error {
	s.close.Do(func() { close(s.closed) })
	s.work.Wait()
	return nil
}
