package awssim

import (
	"context"
	"fmt"
	"net/http"
)

const shownEvents = 200

type eventsPage struct {
	Queue    string
	Delivery EventDelivery
	Events   []Event
	Held     int
}

func (s *Sim) eventRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		events, err := s.Events(r.Context(), shownEvents)
		if err != nil {
			s.renderProblem(w, r, err)
			return
		}
		page := eventsPage{Queue: s.cfg.QueueName, Delivery: s.Switches().EventDelivery, Events: events}
		for _, e := range events {
			if e.Held {
				page.Held++
			}
		}
		s.render(w, r, "events", "events", "Events", http.StatusOK, page)
	})
	mux.HandleFunc("POST /events/release", s.formAction("/events", func(ctx context.Context, r *http.Request) (string, error) {
		n, err := s.ReleaseEvents(ctx, r.PostFormValue("reverse") != "")
		return fmt.Sprintf("Events released: %d.", n), err
	}))
	mux.HandleFunc("POST /events/put", s.formAction("/events", func(ctx context.Context, r *http.Request) (string, error) {
		body := r.PostFormValue("body")
		if body == "" {
			return "", fmt.Errorf("%w: a message needs a text", ErrBadRequest)
		}
		return "The message is in the queue.", s.PutEvent(ctx, body)
	}))
}
