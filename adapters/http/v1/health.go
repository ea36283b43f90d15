package v1

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Component is a part that the API depends on. Probe fails when it does not work, or with ErrUnknownState when nothing is
// known of it, and honours its context.
type Component struct {
	Name    string
	Probe   func(ctx context.Context) error
	Version func(ctx context.Context) (string, error) // of what was probed; nil names none
}

// ErrUnknownState leaves a component out of health.
var ErrUnknownState = errors.New("the state of the component is not known")

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
	Status  string `json:"status"` // up or down; why is for the operator's log
	Version string `json:"version,omitempty"`
}

type health struct {
	version    string
	components []Component
	now        func() time.Time
	log        *slog.Logger

	mu     sync.Mutex // held while probing, so that callers share one round
	report healthReport
	until  time.Time
}

func newHealth(version string, components []Component, now func() time.Time, log *slog.Logger) *health {
	return &health{version: version, components: components, now: now, log: log}
}

// reportHealth answers GET /v1/health.
func (a *API) reportHealth(*exchange) (answer, error) { return bare{a.health.current()}, nil }

// current returns a report that is at most healthValidity old. The log says when a component goes down, and why, and when
// it works again.
func (h *health) current() healthReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now().Before(h.until) {
		return h.report
	}
	// Not the context of a request: a caller that leaves must not make components look down to others.
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	reports, down := h.probe(ctx)
	for name, report := range reports {
		switch before := h.report.Components[name].Status; {
		case report.Status == componentDown && before != componentDown:
			h.log.Warn("component is down", "component", name, "error", down[name])
		case report.Status == componentUp && before == componentDown:
			h.log.Info("component works again", "component", name)
		}
	}
	h.report = healthReport{Status: statusOK, Version: h.version, Date: timestamp(h.now()), Components: reports}
	if len(down) > 0 {
		h.report.Status = statusDegraded
	}
	h.until = h.now().Add(healthValidity)
	return h.report
}

// probe asks all components at once, and gives the errors of those that are down.
func (h *health) probe(ctx context.Context) (reports map[string]componentReport, down map[string]error) {
	versions, errs := make([]string, len(h.components)), make([]error, len(h.components))
	var group sync.WaitGroup
	for i, c := range h.components {
		group.Go(func() {
			if errs[i] = c.Probe(ctx); errs[i] == nil && c.Version != nil {
				versions[i], errs[i] = c.Version(ctx)
			}
		})
	}
	group.Wait()
	reports, down = map[string]componentReport{}, map[string]error{}
	for i, c := range h.components {
		switch err := errs[i]; {
		case err == nil:
			reports[c.Name] = componentReport{Status: componentUp, Version: versions[i]}
		case !errors.Is(err, ErrUnknownState):
			reports[c.Name], down[c.Name] = componentReport{Status: componentDown}, err
		}
	}
	return reports, down
}

var componentUpDesc = prometheus.NewDesc("liveness_component_up", "Whether a component works: 1, or 0 when it is down.", []string{"component"}, nil)

// ComponentMetrics returns what health says of components, for a process that answers no requests.
func ComponentMetrics(components []Component, now func() time.Time, log *slog.Logger) prometheus.Collector {
	return newHealth("", components, now, log)
}

// Describe implements prometheus.Collector.
func (h *health) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- componentUpDesc }

// Collect implements prometheus.Collector: metrics say what health says.
func (h *health) Collect(metrics chan<- prometheus.Metric) {
	for name, component := range h.current().Components {
		up := 0.0
		if component.Status == componentUp {
			up = 1
		}
		metrics <- prometheus.MustNewConstMetric(componentUpDesc, prometheus.GaugeValue, up, name)
	}
}
