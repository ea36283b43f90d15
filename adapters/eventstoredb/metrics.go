package eventstoredb

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/commands"
)

// What becomes of a call.
const (
	outcomeDone        = "done"
	outcomeConflict    = "conflict"    // another append came first; the command decides again
	outcomeUnavailable = "unavailable" // no answer, or none was asked for because the store is down
	outcomeRefused     = "refused"     // a right that is missing, no room, too large
	outcomeAbandoned   = "abandoned"   // who asked has left
)

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeDone
	case errors.Is(err, commands.ErrConflict):
		return outcomeConflict
	case errors.Is(err, context.Canceled):
		return outcomeAbandoned
	case errors.Is(err, commands.ErrStoreUnavailable), errors.Is(err, context.DeadlineExceeded):
		return outcomeUnavailable
	}
	return outcomeRefused
}

// metrics are what a connection tells Prometheus of the calls that checks and commands wait for.
type metrics struct {
	appends  *prometheus.HistogramVec
	reads    *prometheus.HistogramVec
	appended prometheus.Counter
}

func newMetrics() *metrics {
	buckets := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	m := &metrics{
		appends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "liveness_store_append_duration_seconds", Help: "How long appends to the event store took, in seconds, by what became of them.", Buckets: buckets,
		}, []string{"outcome"}),
		reads: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "liveness_store_read_duration_seconds", Help: "How long reads of a stream took, in seconds, by what became of them.", Buckets: buckets,
		}, []string{"outcome"}),
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "liveness_store_appended_events_total", Help: "Events that this node has appended to the event store.",
		}),
	}
	for _, outcome := range []string{outcomeDone, outcomeUnavailable, outcomeRefused, outcomeAbandoned} { // at 0, so that the first one is an increase
		m.appends.WithLabelValues(outcome)
		m.reads.WithLabelValues(outcome)
	}
	m.appends.WithLabelValues(outcomeConflict)
	return m
}

// observeAppend takes note of an append of some events.
func (m *metrics) observeAppend(events int, began time.Time, err error) {
	m.appends.WithLabelValues(outcomeOf(err)).Observe(time.Since(began).Seconds())
	if err == nil {
		m.appended.Add(float64(events))
	}
}

// observeRead takes note of a read.
func (m *metrics) observeRead(began time.Time, err error) {
	m.reads.WithLabelValues(outcomeOf(err)).Observe(time.Since(began).Seconds())
}

// Metrics returns what Prometheus sees of the connection.
func (c *Client) Metrics() []prometheus.Collector {
	return []prometheus.Collector{c.metrics.appends, c.metrics.reads, c.metrics.appended}
}
