package consoletest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// Log is the event store in memory, with the log that projections follow.
type Log struct {
	*memorystore.Store

	mu    sync.Mutex
	grown chan struct{} // closed when events are appended
}

func newLog(now func() time.Time) *Log {
	return &Log{Store: memorystore.New(now), grown: make(chan struct{})}
}

// Append implements commands.EventStore.
func (s *Log) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	appended, err := s.Store.Append(ctx, stream, expected, events)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.grown)
	s.grown = make(chan struct{})
	return appended, err
}

func (s *Log) growth() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}

// All returns the log.
func (w *World) All() []domain.Recorded {
	w.t.Helper()
	all, err := w.Store.All()
	Must(w.t, err)
	return all
}

// Head implements engine.Source.
func (s *Log) Head(context.Context) (uint64, error) { return s.Store.Head(), nil }

// Holds implements engine.Source.
func (s *Log) Holds(_ context.Context, mark engine.Mark) (bool, error) {
	all, err := s.All()
	return slices.ContainsFunc(all, func(r domain.Recorded) bool { return r.ID == mark.ID && r.Position == mark.Position }), err
}

// RecordedBehind implements engine.Source.
func (s *Log) RecordedBehind(_ context.Context, position uint64) (time.Time, error) {
	behind, err := s.Behind(position)
	if len(behind) == 0 {
		return time.Time{}, err
	}
	return behind[0].RecordedAt, err
}

// ReadStream implements engine.Source.
func (s *Log) ReadStream(_ context.Context, stream string) ([]domain.Recorded, error) {
	return s.Stream(stream)
}

// Subscriber implements engine.Source.
func (s *Log) Subscriber(_ string, eventTypes []string, from func(context.Context) (engine.Place, error)) message.Subscriber {
	wanted := map[string]bool{}
	for _, t := range eventTypes {
		wanted[t] = true
	}
	return &follower{store: s, wanted: wanted, from: from}
}

type follower struct {
	store  *Log
	wanted map[string]bool
	from   func(context.Context) (engine.Place, error)
	work   sync.WaitGroup
}

// Subscribe implements message.Subscriber.
func (f *follower) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	f.work.Go(func() {
		defer close(messages)
		place, err := f.from(ctx)
		for err == nil && ctx.Err() == nil {
			grown := f.store.growth()
			var batch engine.Batch
			if batch, err = f.behind(place); err != nil {
				return
			}
			if place.Started && batch.Position == place.Position {
				select {
				case <-grown:
				case <-ctx.Done():
				}
				continue
			}
			if !engine.Deliver(ctx, messages, batch, 0, nil) {
				return
			}
			place = engine.Place{Position: batch.Position, Started: true}
		}
	})
	return messages, nil
}

func (f *follower) behind(place engine.Place) (engine.Batch, error) {
	batch := engine.Batch{Position: place.Position, CaughtUp: true}
	behind, err := f.store.Behind(place.Position)
	for _, recorded := range behind {
		batch.Position = recorded.Position
		if f.wanted[recorded.Event.EventType()] {
			batch.Events = append(batch.Events, recorded)
		}
	}
	return batch, err
}

// Close implements message.Subscriber.
func (f *follower) Close() error {
	f.work.Wait()
	return nil
}
