package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The first message that is malformed, and the first attempt that is refused, must be an increase to Prometheus.
func TestCountersOfAWSBeginAtZero(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(newReportingCounters().collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			series[family.GetName()]++
			if metric.GetCounter().GetValue() != 0 {
				t.Errorf("%s begins at %v", family.GetName(), metric.GetCounter().GetValue())
			}
		}
	}
	want := map[string]int{"liveness_marketplace_messages_total": 3, "liveness_metering_attempts_total": 13, "liveness_metering_calls_total": 1}
	for name, n := range want {
		if series[name] != n {
			t.Errorf("%s has %d series, want %d", name, series[name], n)
		}
	}
}
