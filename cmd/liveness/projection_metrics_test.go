package main

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// A rebuild by hand that is stopped leaves the running read model alone: nobody is paged for it.
func TestBuildsAreNotMeasured(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.UsageProjection())
	if err := engine.Prepare(t.Context(), r.pool, projections.UsageProjection()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pool.Exec(t.Context(), "insert into projection_checkpoints (name, version, stopped) values ('usage__rebuild', 1, true)"); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newProjectionMetrics(r.engine, slog.New(slog.DiscardHandler)))
	families, err := registry.Gather()
	if err != nil || len(families) == 0 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, family := range families {
		if series := family.GetMetric(); len(series) != 1 || series[0].GetLabel()[0].GetValue() != "usage" {
			t.Errorf("%s is told of %v", family.GetName(), series)
		}
	}
}
