package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// componentReadModels is what health calls the read models.
const componentReadModels = "read_models"

// observeReadModels returns an engine that maintains nothing and tells how the read models stand on whichever nodes they are
// maintained.
func (c *core) observeReadModels() (*engine.Engine, error) {
	return engine.New(engine.Config{
		Pool: c.pool, Source: eventstoredb.NewSource(c.client, c.registry, c.log), Projections: projections.All(), Log: c.log,
	})
}

// readModelsComponent is down while a read model does not show what it should, whatever the node says that maintains it.
func readModelsComponent(models *engine.Engine) v1.Component {
	return v1.Component{Name: componentReadModels, Probe: func(ctx context.Context) error {
		statuses, err := models.StatusesNow(ctx)
		if err != nil {
			return err
		}
		var problems []string
		for _, s := range statuses {
			if problem := s.Problem(); problem != "" {
				problems = append(problems, problem)
			}
		}
		if len(problems) > 0 {
			return errors.New(strings.Join(problems, "; "))
		}
		return nil
	}}
}

// projectionMetrics tells how every read model stands against the end of the log, asked for at every scrape. All nodes say the
// same, also while the one hangs that maintains it.
type projectionMetrics struct {
	engine *engine.Engine
	log    *slog.Logger

	seconds, lag, passed, parked, skipped, stopped, maintained *prometheus.Desc
}

func newProjectionMetrics(models *engine.Engine, log *slog.Logger) *projectionMetrics {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("liveness_projection_"+name, help, []string{"projection"}, nil)
	}
	return &projectionMetrics{
		engine: models, log: log,
		seconds:    describe("lag_seconds", "Age of the oldest event of the log that the read model has not covered, 0 without a lag."),
		lag:        describe("lag_positions", "Distance in commit positions between the end of the log and the read model."),
		passed:     describe("last_pass_age_seconds", "How long ago the read model applied events, or was found at the end of the log by its holder."),
		parked:     describe("parked_events", "Events gone past because they could not be applied."),
		skipped:    describe("skipped_events", "Events gone past because an operator said so."),
		stopped:    describe("stopped", "1 when a poisonous event stands in the way of the read model."),
		maintained: describe("maintained", "1 while a node holds the lease of the read model, 0 while none does."),
	}
}

// Describe implements prometheus.Collector.
func (m *projectionMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.seconds, m.lag, m.passed, m.parked, m.skipped, m.stopped, m.maintained} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *projectionMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	statuses, err := m.engine.StatusesNow(ctx)
	if err != nil {
		m.log.Warn("read models cannot be asked for their lag", "error", err)
		return
	}
	for _, s := range statuses {
		if s.Name != s.ReadModel() {
			continue // it serves nobody, so nobody is to be paged for it; one that was given up would be for ever
		}
		for desc, value := range map[*prometheus.Desc]float64{
			m.seconds: time.Duration(s.LagFor).Seconds(), m.lag: float64(s.Lag), m.passed: time.Duration(s.PassedAgo).Seconds(),
			m.parked: float64(s.Parked), m.skipped: float64(s.Skipped),
			m.stopped: oneIf(s.State == engine.StateStopped), m.maintained: oneIf(s.Holder != ""),
		} {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, s.Name)
		}
	}
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
