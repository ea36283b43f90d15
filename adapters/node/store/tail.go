package store

import (
	"context"
	"slices"
	"sync"
)

const (
	tailEvents = 4096
	tailBytes  = 8 << 20
)

// tail keeps the newest events in memory, so that live readers do not ask the database, and wakes those who wait for more.
// It always ends at the head; positions in it have no gaps.
type tail struct {
	mu     sync.RWMutex
	events []Event // replaced or appended to, never overwritten: readers keep parts of it
	bytes  int
	head   uint64
	more   chan struct{} // closed at the next publication
	closed bool

	watches map[string]map[*Watch]struct{}
}

func newTail(head uint64) *tail {
	return &tail{head: head, more: make(chan struct{}), watches: make(map[string]map[*Watch]struct{})}
}

// publish makes durable events visible.
func (t *tail) publish(events []Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range events {
		e := &events[i]
		t.bytes += weight(e)
		t.notify(e.Stream)
		if len(t.watches) > 0 {
			t.notify(typeStream(e.Type))
			if name := category(e.Stream); name != "" {
				t.notify(categoryStream(name))
			}
		}
	}
	t.events = append(t.events, events...)
	t.head = events[len(events)-1].Position
	if len(t.events) > 2*tailEvents || t.bytes > 2*tailBytes {
		t.trim()
	}
	close(t.more)
	t.more = make(chan struct{})
}

// trim keeps the newest events within the bounds, in memory of their own.
func (t *tail) trim() {
	keep, size := 0, 0
	for keep < min(tailEvents, len(t.events)) {
		w := weight(&t.events[len(t.events)-1-keep])
		if size+w > tailBytes {
			break
		}
		size += w
		keep++
	}
	t.events = append(make([]Event, 0, 2*keep), t.events[len(t.events)-keep:]...)
	t.bytes = size
}

// weight is about the memory that an event takes.
func weight(e *Event) int { return 160 + len(e.Stream) + len(e.Type) + len(e.Data) + len(e.Metadata) }

// read returns a page from memory; false when the database has to be asked.
func (t *tail) read(from uint64, limit int) (Slice, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if from > t.head {
		return Slice{Next: from, End: true}, true
	}
	if len(t.events) == 0 || from < t.events[0].Position {
		return Slice{}, false
	}
	events := t.events[from-t.events[0].Position:]
	size := 0
	for i := range events {
		if size += weight(&events[i]); i == limit || (size > pageBytes && i > 0) {
			events = events[:i:i]
			break
		}
	}
	next := events[len(events)-1].Position + 1
	return Slice{Events: slices.Clip(events), Next: next, End: next > t.head}, true
}

func (t *tail) position() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.head
}

func (t *tail) waitBeyond(ctx context.Context, position uint64) error {
	for {
		t.mu.RLock()
		head, more, closed := t.head, t.more, t.closed
		t.mu.RUnlock()
		switch {
		case head > position:
			return nil
		case closed:
			return ErrClosed
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close wakes everyone who waits.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	close(t.more)
	t.more = make(chan struct{})
	for _, watches := range t.watches {
		for w := range watches {
			close(w.signal)
		}
	}
	t.watches = nil
}

// Watch is a registration for writes to one stream.
type Watch struct {
	// C receives a value after writes to the stream; several writes may share one. It is closed when the store closes.
	C <-chan struct{}

	signal chan struct{}
	tail   *tail
	stream string
}

func (t *tail) watch(stream string) *Watch {
	signal := make(chan struct{}, 1)
	w := &Watch{C: signal, signal: signal, tail: t, stream: stream}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		close(signal)
		return w
	}
	if t.watches[stream] == nil {
		t.watches[stream] = make(map[*Watch]struct{})
	}
	t.watches[stream][w] = struct{}{}
	return w
}

func (t *tail) notify(stream string) {
	for w := range t.watches[stream] {
		select {
		case w.signal <- struct{}{}:
		default:
		}
	}
}

// Stop ends the registration.
func (w *Watch) Stop() {
	w.tail.mu.Lock()
	defer w.tail.mu.Unlock()
	watches := w.tail.watches[w.stream]
	delete(watches, w)
	if len(watches) == 0 {
		delete(w.tail.watches, w.stream)
	}
}
