package v1

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/domain"
)

// metrics are what the API tells Prometheus. Labels take few values each: a route, a status, an error code.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer, g *gate, memory *checkbody.Memory, limits Limits) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "liveness_api_requests_total", Help: "Answered requests of the API by route, method, status and error code (empty on success).",
		}, []string{"route", "method", "status", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "liveness_api_request_duration_seconds", Help: "Time from a request's headers to its answer, in seconds.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "liveness_api_requests_in_flight", Help: "Requests of the API that are being answered.",
		}),
	}
	m.beginAnswers()
	if registerer == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	for _, collector := range []prometheus.Collector{
		m.requests, m.duration, m.inFlight,
		gauge("liveness_api_checks_admitted", "Checks between their admission and their answer.", func() int64 { return g.places.Stand().Taken }),
		gauge("liveness_api_checks_waiting", "Checks whose image is read and waits for a worker.", g.waiting),
		gauge("liveness_api_checks_judging", "Checks whose image is being judged.", g.judged),
		gauge("liveness_api_image_memory_bytes", "Memory that holds images, in bytes.", memory.Taken),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "liveness_api_queue_gave_way_total", Help: "Images that gave their place in the queue to a subscription that had less in it.",
		}, func() float64 { return float64(g.queue.GaveWay()) }),
		fairshare.NewMetrics("checks", g.places), fairshare.NewMetrics("image_memory", memory.Pool()), limits.metrics(g),
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics of the API: %w", err)
		}
	}
	return m, nil
}

// beginAnswers has the answers begin at 0, so that the first of each is an increase: of checks all, of what is only read those that
// are alerted of.
func (m *metrics) beginAnswers() {
	routes := map[string]string{PathCheck: http.MethodPost, PathUsage: http.MethodGet, PathHealth: http.MethodGet, PathReady: http.MethodGet}
	for route, method := range routes {
		m.duration.WithLabelValues(route)
		for _, p := range []problem.Problem{{Status: http.StatusOK}, problem.Of(errors.New("a fault of ours")), problem.Of(domain.ErrUnavailable)} {
			m.requests.WithLabelValues(route, method, strconv.Itoa(p.Status), p.Code)
		}
	}
	for _, refusal := range []*domain.Error{
		domain.ErrInvalidRequest, domain.ErrInvalidImage, domain.ErrInvalidAPIKey, domain.ErrSubscriptionInactive, domain.ErrIdempotencyConflict,
		domain.ErrImageTooLarge, domain.ErrUnsupportedMedia, domain.ErrQuotaExceeded, domain.ErrRateLimited, domain.ErrOverloaded,
		problem.ErrRequestTimeout,
	} {
		p := problem.Of(refusal)
		m.requests.WithLabelValues(PathCheck, http.MethodPost, strconv.Itoa(p.Status), p.Code)
	}
}

func (m *metrics) observe(x *exchange, elapsed time.Duration) {
	m.requests.WithLabelValues(x.route, methodLabel(x.request.Method), strconv.Itoa(x.status), x.code).Inc()
	m.duration.WithLabelValues(x.route).Observe(elapsed.Seconds())
}

// methodLabel keeps invented methods from becoming time series.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// metrics returns the limits as they are in force.
func (l Limits) metrics(g *gate) prometheus.Collector {
	limits := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "liveness_api_limit", Help: "Limits of this node as they are configured: requests, seconds, bytes, weights.",
	}, []string{"limit"})
	_, places := g.queue.Admitted()
	for name, value := range map[string]float64{
		"key_rate": l.KeyRate, "key_burst": float64(l.KeyBurst), "address_rate": l.AddressRate, "address_burst": float64(l.AddressBurst),
		"uploads": float64(l.InFlight), "queue_places": float64(places), "begin_wait_seconds": l.BeginWait.Seconds(),
		"image_bytes": float64(l.MaxImage), "image_memory_bytes": float64(l.ImageMemory),
	} {
		limits.WithLabelValues(name).Set(value)
	}
	for plan, weight := range l.PlanWeights {
		limits.WithLabelValues("weight_" + string(plan)).Set(weight)
	}
	return limits
}
