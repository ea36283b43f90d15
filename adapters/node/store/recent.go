package store

import "github.com/google/uuid"

// recentEvents is for how many events the repetition of an append without an exact revision is recognized. An index of all of
// them would cost every append another page of the write-ahead log.
const recentEvents = 1 << 16

// eventKey is an event's id within its stream.
type eventKey struct {
	stream int64
	id     uuid.UUID
}

// recent remembers the revisions of the newest events by their ids. It holds no pointers, so that the garbage collector does
// not walk it, and it is a hint: it may remember an event whose transaction was undone.
type recent struct {
	revisions map[eventKey]int64
	ring      []eventKey // in order of arrival, the oldest at next
	next      int
}

func newRecent() *recent {
	// Made at once, so that a node's memory does not grow with its first hours.
	return &recent{revisions: make(map[eventKey]int64, recentEvents), ring: make([]eventKey, 0, recentEvents)}
}

func (r *recent) add(key eventKey, revision int64) {
	if len(r.ring) < recentEvents {
		r.ring = append(r.ring, key)
	} else {
		delete(r.revisions, r.ring[r.next])
		r.ring[r.next] = key
		r.next = (r.next + 1) % recentEvents
	}
	r.revisions[key] = revision
}

func (r *recent) revision(key eventKey) (int64, bool) {
	revision, found := r.revisions[key]
	return revision, found
}
