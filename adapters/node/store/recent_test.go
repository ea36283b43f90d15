package store

import (
	"testing"

	"github.com/google/uuid"
)

func TestRecentForgetsTheOldest(t *testing.T) {
	t.Parallel()
	r := newRecent()
	first, last := eventKey{1, uuid.New()}, eventKey{1, uuid.New()}
	r.add(first, 0)
	for range recentEvents - 1 {
		r.add(eventKey{2, uuid.New()}, 5)
	}
	if revision, found := r.revision(first); !found || revision != 0 {
		t.Errorf("first of %d events = %d, %t", recentEvents, revision, found)
	}
	r.add(last, 7)
	if _, found := r.revision(first); found {
		t.Error("the oldest event is still remembered")
	}
	if revision, found := r.revision(last); !found || revision != 7 || len(r.revisions) != recentEvents {
		t.Errorf("newest event = %d, %t; %d are remembered", revision, found, len(r.revisions))
	}
}
