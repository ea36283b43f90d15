package domain

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// ProjectionSkipped says that an operator let a read model go past an event of ours that it cannot apply. Every later build
// of the read model goes past the same event. A log that is copied has other positions, so the event is known by its id.
type ProjectionSkipped struct {
	ReadModel string    `json:"readModel"`
	EventID   uuid.UUID `json:"eventId"`
	Position  uint64    `json:"position"`
	Stream    string    `json:"stream"`
	Revision  uint64    `json:"revision"`
	Type      string    `json:"eventType"`
	Why       string    `json:"why"`
	SkippedAt time.Time `json:"skippedAt"`
}

// EventType names the event in the log.
func (ProjectionSkipped) EventType() string { return "ProjectionSkipped" }

func registerProjectionEvents(r *Registry) { register[ProjectionSkipped](r, CategoryProjections) }

// ProjectionSkips is the state of what a read model goes past.
type ProjectionSkips struct {
	Events map[uuid.UUID]ProjectionSkipped // by the id of the event that is skipped
}

// Fold returns the state after one more event.
func (s ProjectionSkips) Fold(event Event) ProjectionSkips {
	if e, ok := event.(ProjectionSkipped); ok {
		if s.Events == nil {
			s.Events = map[uuid.UUID]ProjectionSkipped{}
		}
		s.Events[e.EventID] = e
	}
	return s
}

// Skip lets the read model go past an event. One that it goes past already is not recorded again.
func (s ProjectionSkips) Skip(skip ProjectionSkipped, at time.Time) ([]Event, error) {
	skip.Why = strings.TrimSpace(skip.Why)
	if skip.Why == "" {
		return nil, Invalid("why", "Say why the event may be gone past: what is wrong with it, and what was done about its effect.")
	}
	if _, known := s.Events[skip.EventID]; known {
		return nil, nil
	}
	skip.SkippedAt = at.UTC()
	return []Event{skip}, nil
}
