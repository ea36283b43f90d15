// Package commandstest is what tests of commands share: a clock that they move, a store that they interrupt, a read model
// that is behind when it is told to be, and lines that are read while they are logged. The log itself is a memorystore.
package commandstest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// CheapPasswords is what a hash costs where none is checked for its strength: the advised cost is most of what such tests compute.
var CheapPasswords = argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Clock is a time that tests move.
type Clock struct{ now atomic.Pointer[time.Time] }

// NewClock returns a clock that stands at start.
func NewClock(start time.Time) *Clock {
	c := &Clock{}
	c.Set(start)
	return c
}

// Now returns the time that the clock stands at.
func (c *Clock) Now() time.Time { return *c.now.Load() }

// Set moves the clock to a time.
func (c *Clock) Set(to time.Time) { c.now.Store(&to) }

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// HookedStore runs something right before a call of the store; what is nil does nothing.
type HookedStore struct {
	commands.EventStore
	BeforeAppend, BeforeRead, BeforeReadLast func(stream string)
}

// Append implements commands.EventStore.
func (h *HookedStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	if h.BeforeAppend != nil {
		h.BeforeAppend(stream)
	}
	return h.EventStore.Append(ctx, stream, expected, events)
}

// Read implements commands.EventStore.
func (h *HookedStore) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	if h.BeforeRead != nil {
		h.BeforeRead(stream)
	}
	return h.EventStore.Read(ctx, stream, from, limit)
}

// ReadLast implements commands.EventStore.
func (h *HookedStore) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	if h.BeforeReadLast != nil {
		h.BeforeReadLast(stream)
	}
	return h.EventStore.ReadLast(ctx, stream)
}

// BrokenStore is a log whose appends fail as Fail says; what it lets pass is done.
type BrokenStore struct {
	commands.EventStore
	Appends atomic.Int64 // how many were tried
	Fail    func(ctx context.Context) error
}

// Append implements commands.EventStore.
func (s *BrokenStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	s.Appends.Add(1)
	if err := s.Fail(ctx); err != nil {
		return commands.Appended{}, err
	}
	return s.EventStore.Append(ctx, stream, expected, events)
}

// Barrier is a read model that is behind while Err says so.
type Barrier struct {
	Err error

	mu     sync.Mutex
	waited map[string]uint64
}

// WaitFor implements commands.Barrier.
func (b *Barrier) WaitFor(_ context.Context, readModel string, position uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waited == nil {
		b.waited = map[string]uint64{}
	}
	b.waited[readModel] = position
	return b.Err
}

// Waited returns the position that a read model was waited for last.
func (b *Barrier) Waited(readModel string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waited[readModel]
}

// Types returns the types of the events in a stream, oldest first.
func Types(t testing.TB, store commands.EventStore, stream string) []string {
	t.Helper()
	page, err := store.Read(context.Background(), stream, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, recorded := range page {
		types = append(types, recorded.Event.EventType())
	}
	return types
}
