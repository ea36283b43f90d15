package eventstoretest

import (
	"context"
	"errors"
	"sync"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// LateWinner returns a store that answers a conflict before the event that won can be read, as real stores do now and
// then: that many reads of the stream after the conflict show it as the loser knows it. Without namesRevision the
// conflict does not say either how far the stream has come.
func LateWinner(store commands.EventStore, reads int, namesRevision bool) commands.EventStore {
	return &lateWinner{EventStore: store, reads: reads, namesRevision: namesRevision, hidden: map[string]hidden{}}
}

type lateWinner struct {
	commands.EventStore
	reads         int
	namesRevision bool

	mu     sync.Mutex
	hidden map[string]hidden
}

// hidden is what the next reads of a stream do not show.
type hidden struct {
	behind int64 // the last revision that can be read
	reads  int
}

// Append implements commands.EventStore.
func (s *lateWinner) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	appended, err := s.EventStore.Append(ctx, stream, expected, events)
	if !errors.Is(err, commands.ErrConflict) {
		return appended, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, before := s.hidden[stream]; !before {
		s.hidden[stream] = hidden{behind: expected, reads: s.reads}
	}
	if !s.namesRevision {
		return appended, commands.ErrConflict
	}
	return appended, err
}

// readable returns the last revision of a stream that can be read, and whether that is not all.
func (s *lateWinner) readable(stream string) (last int64, limited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.hidden[stream]
	if !ok || h.reads == 0 {
		return 0, false
	}
	h.reads--
	s.hidden[stream] = h
	return h.behind, true
}

// Read implements commands.EventStore.
func (s *lateWinner) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	if last, limited := s.readable(stream); limited {
		limit = min(limit, max(0, int(last+1-int64(from))))
	}
	return s.EventStore.Read(ctx, stream, from, limit)
}

// ReadLast implements commands.EventStore.
func (s *lateWinner) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	last, limited := s.readable(stream)
	if !limited {
		return s.EventStore.ReadLast(ctx, stream)
	}
	if last < 0 {
		return domain.Recorded{}, false, ctx.Err()
	}
	page, err := s.EventStore.Read(ctx, stream, uint64(last), 1)
	if err != nil || len(page) == 0 {
		return domain.Recorded{}, false, err
	}
	return page[0], true, nil
}
