package eventstoredb

import (
	"sort"

	"github.com/pas-ta/liveness/domain"
)

// ring holds the newest events, oldest first. Readers share what the events point to, so nobody may change it.
type ring struct {
	most   int // it holds no more than these
	events []domain.Recorded
	first  int // where the oldest is
}

func (r *ring) len() int { return len(r.events) }

func (r *ring) at(i int) *domain.Recorded { return &r.events[(r.first+i)%len(r.events)] }

// add puts an event at the end; when the ring was full it returns the oldest one, which had to go.
func (r *ring) add(recorded domain.Recorded) (oldest domain.Recorded, full bool) {
	if len(r.events) < r.most {
		r.events = append(r.events, recorded)
		return oldest, false
	}
	oldest, r.events[r.first] = r.events[r.first], recorded
	r.first = (r.first + 1) % len(r.events)
	return oldest, true
}

// behind returns the index of the first event behind position.
func (r *ring) behind(position uint64) int {
	return sort.Search(r.len(), func(i int) bool { return r.at(i).Position > position })
}
