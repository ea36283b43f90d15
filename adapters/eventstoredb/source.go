package eventstoredb

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// Source is the log as projections follow it, handed on through Watermill: each catches up over a filtered subscription to
// $all of its own; those that are live share one.
//
// A position is believed when an event has it, or when a head of the log reaches it. What a server claims beyond that moves
// nobody: 24.x answers a filtered subscription to a log without a match with a checkpoint of 2^64-1, behind which nothing
// would ever come.
type Source struct {
	// LiveInterval is the least time from one small batch to the next; liveInterval from NewSource. Changed before anybody follows.
	LiveInterval time.Duration

	client     *Client
	codec      codec
	log        *slog.Logger
	tailEvents int
	foreign    atomic.Uint64

	shortTimeout, olderTimeout time.Duration

	mu    sync.Mutex
	tail  *liveTail            // nil when nobody follows
	short map[uint64]shortfall // of places that the log does not reach
}

var (
	_ engine.Source  = (*Source)(nil)
	_ engine.Hurrier = (*Source)(nil)
)

const (
	// shortTimeout is how long a reader waits for a log that does not reach its place: a new leader of a cluster may for a
	// moment not show what the one before has delivered.
	shortTimeout = 5 * time.Second
	// olderTimeout is after how long a log that still does not reach a place is an older one for good. Without that it would
	// be taken for the same log once it has grown beyond the place, and all that it holds up to there would be skipped.
	olderTimeout = 30 * time.Second
	shortRetry   = 100 * time.Millisecond
)

// NewSource follows the log through client, decoding the events of registry.
func NewSource(client *Client, registry *domain.Registry, log *slog.Logger) *Source {
	return &Source{
		LiveInterval: liveInterval, client: client, codec: codec{registry, client}, log: log, tailEvents: tailEvents,
		shortTimeout: shortTimeout, olderTimeout: olderTimeout, short: map[uint64]shortfall{},
	}
}

// Head returns the commit position of the newest event in the log.
func (s *Source) Head(ctx context.Context) (uint64, error) { return s.client.Head(ctx) }

// Holds implements engine.Log.
func (s *Source) Holds(ctx context.Context, mark engine.Mark) (bool, error) {
	store := NewStore(s.client, s.codec.registry)
	from := esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(mark.Revision)}
	page, err := store.readRaw(ctx, mark.Stream, from, 1)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", mark.Stream, lacks("read "+mark.Stream, err))
	}
	return len(page) == 1 && page[0].EventID == mark.ID && page[0].EventNumber == mark.Revision && page[0].Position.Commit == mark.Position, nil
}

// RecordedBehind implements engine.Source.
func (s *Source) RecordedBehind(ctx context.Context, position uint64) (time.Time, error) {
	recorded, err := call(ctx, s.client, func(ctx context.Context, client *esdb.Client) (time.Time, error) {
		stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: behind(position)}, 2) // the first may be the one at the position
		if err != nil {
			return time.Time{}, err
		}
		defer stream.Close()
		for {
			event, err := stream.Recv()
			switch {
			case err != nil && IsEnd(err):
				return time.Time{}, nil
			case err != nil:
				return time.Time{}, err
			case event.OriginalEvent().Position.Commit > position:
				return event.OriginalEvent().CreatedDate, nil
			}
		}
	})
	return recorded, lacks(readAll, err)
}

// Hurry implements engine.Hurrier. Who catches up tells its place with every batch anyway.
func (s *Source) Hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil {
		s.tail.hurry()
	}
}

// ForeignEvents returns how many events of other programs were passed over since the start, each as often as it was received.
func (s *Source) ForeignEvents() uint64 { return s.foreign.Load() }

// Subscriber follows eventTypes for the projection called name; see engine.Source.
func (s *Source) Subscriber(
	name string, eventTypes []string, from func(context.Context) (engine.Place, error),
) message.Subscriber {
	wanted := make(map[string]bool, len(eventTypes))
	for _, eventType := range eventTypes {
		wanted[eventType] = true
	}
	return &subscriber{source: s, name: name, eventTypes: eventTypes, wanted: wanted, from: from}
}

// reach returns the head of the log, read now and not before position. When the log ends before position, it is an older
// one than position is from: that fails with engine.ErrOtherLog, and nobody may follow it from there.
func (s *Source) reach(ctx context.Context, position uint64) (uint64, error) {
	for begun := time.Now(); ; _ = commands.Sleep(ctx, shortRetry) {
		head, err := s.readHead(ctx)
		if err != nil {
			return 0, err
		}
		reached, older := s.noteHead(position, head)
		if reached {
			return head, nil
		}
		if older || time.Since(begun) >= s.shortTimeout {
			return 0, fmt.Errorf("%w: position %d was reached and the log ends at %d, so this is an older log, such as a restored backup. "+
				"Make the read models anew from it: `liveness projections rebuild`; "+
				"or connect the log that they were made from", engine.ErrOtherLog, position, head)
		}
	}
}

// owns returns whether an event is ours. Those of other programs are counted; nobody decodes them.
func (s *Source) owns(raw *esdb.RecordedEvent) bool {
	owned := s.codec.owns(raw)
	if !owned && !isSystem(raw) && raw.StreamID != CopyStream {
		s.foreign.Add(1)
	}
	return owned
}

func (s *Source) readHead(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	head, err := s.client.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the end of the log: %w", err)
	}
	return head, nil
}

// noteHead takes note of whether the log reaches position, and returns whether it does; and if not, whether it is another log
// for good, whatever it reaches by now.
func (s *Source) noteHead(position, head uint64) (reached, older bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.short[position]
	switch {
	case found.older:
		return false, true
	case head >= position:
		delete(s.short, position)
		return true, false
	case !known:
		found.since = time.Now()
	}
	found.older = time.Since(found.since) >= s.olderTimeout
	s.short[position] = found
	return false, found.older
}

// shortfall says since when the log does not reach a place.
type shortfall struct {
	since time.Time
	older bool // for good
}
