package awssim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// apiRoutes do by JSON what the pages do, for tests of other processes.
func (s *Sim) apiRoutes(mux *http.ServeMux) {
	get := func(path string, do func(context.Context, *http.Request) (any, error)) {
		mux.HandleFunc("GET /sim/api/"+path, s.api(do))
	}
	get("plans", func(context.Context, *http.Request) (any, error) { return s.cfg.Plans, nil })
	get("agreements", func(ctx context.Context, _ *http.Request) (any, error) { return s.Agreements(ctx) })
	get("agreements/{id}", func(ctx context.Context, r *http.Request) (any, error) { return s.Agreement(ctx, r.PathValue("id")) })
	get("events", func(ctx context.Context, _ *http.Request) (any, error) { return s.Events(ctx, 10_000) })
	get("faults", func(context.Context, *http.Request) (any, error) { return s.Faults(), nil })
	get("calls", func(context.Context, *http.Request) (any, error) { return s.Calls(), nil })
	get("switches", func(context.Context, *http.Request) (any, error) { return s.Switches(), nil })
	get("clock", func(context.Context, *http.Request) (any, error) { return clockBody{s.Now()}, nil })
	get("records", func(ctx context.Context, r *http.Request) (any, error) {
		f := RecordFilter{LicenseARN: r.URL.Query().Get("license")}
		var err error
		if f.From, err = queryTime(r, "from"); err != nil {
			return nil, err
		}
		if f.To, err = queryTime(r, "to"); err != nil {
			return nil, err
		}
		return s.Records(ctx, f)
	})

	mux.HandleFunc("POST /sim/api/subscribe", s.api(withBody(s.apiSubscribe)))
	mux.HandleFunc("POST /sim/api/agreements/{id}/token", s.api(func(ctx context.Context, r *http.Request) (any, error) {
		return s.registration(ctx, Agreement{ID: r.PathValue("id")})
	}))
	mux.HandleFunc("POST /sim/api/agreements/{id}/{action}", s.api(withBody(s.apiAgreement)))
	mux.HandleFunc("POST /sim/api/events", s.api(func(ctx context.Context, r *http.Request) (any, error) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxMessageBody))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
		}
		return nil, s.PutEvent(ctx, string(body))
	}))
	mux.HandleFunc("POST /sim/api/events/release", s.api(func(ctx context.Context, r *http.Request) (any, error) {
		n, err := s.ReleaseEvents(ctx, r.URL.Query().Get("reverse") != "")
		return map[string]int{"released": n}, err
	}))
	mux.HandleFunc("POST /sim/api/faults", s.api(withBody(func(_ context.Context, _ *http.Request, f Fault) (any, error) { return s.SetFault(f) })))
	clear := s.api(func(_ context.Context, r *http.Request) (any, error) {
		s.ClearFault(r.PathValue("id"))
		return nil, nil
	})
	mux.HandleFunc("DELETE /sim/api/faults", clear)
	mux.HandleFunc("DELETE /sim/api/faults/{id}", clear)
	mux.HandleFunc("PUT /sim/api/switches", s.api(withBody(func(_ context.Context, _ *http.Request, sw Switches) (any, error) {
		return sw, s.SetSwitches(sw)
	})))
	mux.HandleFunc("PUT /sim/api/clock", s.api(withBody(func(_ context.Context, _ *http.Request, c clockBody) (any, error) {
		if c.Now.IsZero() {
			s.ResetClock()
		} else {
			s.SetClock(c.Now)
		}
		return clockBody{s.Now()}, nil
	})))
}

// clockBody is the simulator's time; the zero time sets the clock back to its base.
type clockBody struct {
	Now time.Time `json:"now"`
}

// Registration is what a buyer's browser carries to the seller.
type Registration struct {
	Agreement       Agreement `json:"agreement"`
	RegistrationURL string    `json:"registrationUrl"`
	// Token is the value of the form field x-amzn-marketplace-token.
	Token string `json:"token"`
}

func (s *Sim) registration(ctx context.Context, a Agreement) (Registration, error) {
	a, err := s.Agreement(ctx, a.ID)
	if err != nil {
		return Registration{}, err
	}
	token, err := s.Token(ctx, a.ID)
	return Registration{Agreement: a, RegistrationURL: s.RegistrationURL(), Token: token}, err
}

func (s *Sim) apiSubscribe(ctx context.Context, _ *http.Request, in SubscribeRequest) (any, error) {
	a, err := s.Subscribe(ctx, in)
	if err != nil {
		return nil, err
	}
	return s.registration(ctx, a)
}

func (s *Sim) apiAgreement(ctx context.Context, r *http.Request, next Successor) (any, error) {
	id := r.PathValue("id")
	switch action := r.PathValue("action"); action {
	case "activate":
		return s.Activate(ctx, id)
	case "plan":
		return s.ChangePlan(ctx, id, next.Plan, next.Quantity)
	case "renew":
		return s.Renew(ctx, id, next)
	case "replace":
		return s.Replace(ctx, id, next)
	case "cancel":
		return s.Cancel(ctx, id)
	case "expire":
		return s.Expire(ctx, id)
	case "deprovision":
		return s.Deprovision(ctx, id)
	default:
		return nil, fmt.Errorf("%w: an agreement has no action %q", ErrNotFound, action)
	}
}

// api makes a handler that answers with JSON.
func (s *Sim) api(do func(context.Context, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := do(r.Context(), r)
		status := http.StatusOK
		if err != nil {
			if status = statusOf(err); status == http.StatusInternalServerError {
				s.log.Error("request failed", "path", r.URL.Path, "error", err)
			}
			value = map[string]string{"error": err.Error()}
		}
		if value == nil {
			value = struct{}{}
		}
		body, err := json.Marshal(value)
		if err != nil {
			status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
		}
		answer(w, http.Header{"Content-Type": {"application/json"}}, status, body)
	}
}

// withBody decodes the JSON body, which may be empty.
func withBody[In any](do func(context.Context, *http.Request, In) (any, error)) func(context.Context, *http.Request) (any, error) {
	return func(ctx context.Context, r *http.Request) (any, error) {
		var in In
		d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
		}
		return do(ctx, r, in)
	}
}

func queryTime(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %s must be a time like 2026-05-04T12:00:00Z", ErrBadRequest, name)
	}
	return t, nil
}
