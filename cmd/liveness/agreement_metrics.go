package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/postgres"
)

// agreementMetrics tells, at every scrape, what the last comparison with AWS did not find.
type agreementMetrics struct {
	gaps *postgres.EntitlementGaps
	log  *slog.Logger

	missing, silent, withheld *prometheus.Desc
}

func newAgreementMetrics(gaps *postgres.EntitlementGaps, log *slog.Logger) *agreementMetrics {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("liveness_agreements_"+name, help, nil, nil)
	}
	return &agreementMetrics{
		gaps: gaps, log: log,
		missing:  describe("missing", "Subscriptions that are served and that AWS listed no entitlement of."),
		silent:   describe("unanswered", "Subscriptions that AWS did not answer about. Alert when it stays above 0 for hours."),
		withheld: describe("withheld_ends", "Subscriptions that would have ended in a comparison that ended none, because they were too many. Alert above 0."),
	}
}

// Describe implements prometheus.Collector.
func (m *agreementMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.missing, m.silent, m.withheld} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *agreementMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	gaps, err := m.gaps.Gaps(ctx)
	if err != nil {
		m.log.Warn("the last comparison with AWS cannot be asked for what it did not find", "error", err)
		return
	}
	var missing, silent, withheld float64
	for _, gap := range gaps {
		if gap.Missing > 0 {
			missing++
		}
		if !gap.SilentSince.IsZero() {
			silent++
		}
		if gap.Withheld {
			withheld++
		}
	}
	for desc, value := range map[*prometheus.Desc]float64{m.missing: missing, m.silent: silent, m.withheld: withheld} {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
}
