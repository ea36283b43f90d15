package v1

import (
	"context"
	"sync"
	"time"
)

// Component is a part that the API depends on. Probe fails when it does not work, and honours its context.
type Component struct {
	Name  string
	Probe func(ctx context.Context) error
}

// The states of health.
const (
	statusOK       = "ok"
	statusDegraded = "degraded"
	componentUp    = "up"
	componentDown  = "down"
)

const (
	// probeTimeout is how long a component may take to say that it works.
	probeTimeout = 2 * time.Second
	// healthValidity is how long a report stands, so that asking often does not cost more.
	healthValidity = time.Second
)

// healthReport is the whole answer of health. Its status is 200 while the process can answer at all: a component that is
// down makes checks answer 503 one by one, and taking every node out of a load balancer would not bring it back.
type healthReport struct {
	Status     string                     `json:"status"` // ok, or degraded when a component is down
	Version    string                     `json:"version"`
	Date       string                     `json:"date"`
	Components map[string]componentReport `json:"components"`
}

type componentReport struct {
	Status string `json:"status"` // up or down; why is for the operator's log
}

type health struct {
	version    string
	components []Component
	now        func() time.Time

	mu     sync.Mutex // held while probing, so that callers share one round
	report healthReport
	until  time.Time
}

func newHealth(version string, components []Component, now func() time.Time) *health {
	return &health{version: version, components: components, now: now}
}

// reportHealth answers GET /v1/health.
func (a *API) reportHealth(x *exchange) (answer, error) {
	report, down := a.health.current()
	for name, err := range down {
		a.log.WarnContext(x.request.Context(), "component is down", "component", name, "error", err)
	}
	return bare{report}, nil
}

// current gives a report that is at most healthValidity old. Down says why components are, to the caller that asked them.
func (h *health) current() (report healthReport, down map[string]error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now().Before(h.until) {
		return h.report, nil
	}
	// Not the context of a request: a caller that leaves must not make components look down to others.
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	down = h.probe(ctx)
	h.report = healthReport{Status: statusOK, Version: h.version, Date: timestamp(h.now()), Components: map[string]componentReport{}}
	for _, c := range h.components {
		h.report.Components[c.Name] = componentReport{Status: componentUp}
		if down[c.Name] != nil {
			h.report.Components[c.Name] = componentReport{Status: componentDown}
			h.report.Status = statusDegraded
		}
	}
	h.until = h.now().Add(healthValidity)
	return h.report, down
}

// probe asks all components at once and gives the errors of those that are down.
func (h *health) probe(ctx context.Context) map[string]error {
	errs := make([]error, len(h.components))
	var group sync.WaitGroup
	for i, c := range h.components {
		group.Go(func() { errs[i] = c.Probe(ctx) })
	}
	group.Wait()
	down := map[string]error{}
	for i, c := range h.components {
		if errs[i] != nil {
			down[c.Name] = errs[i]
		}
	}
	return down
}
