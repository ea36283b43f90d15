package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// reportingCounters count what this process exchanges with AWS Marketplace.
type reportingCounters struct {
	messages *prometheus.CounterVec
	records  *prometheus.CounterVec
	calls    prometheus.Counter
}

func newReportingCounters() *reportingCounters {
	c := &reportingCounters{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "liveness_marketplace_messages_total", Help: "Messages of AWS Marketplace by what became of them; malformed ones are dead letters.",
		}, []string{"result"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "liveness_metering_attempts_total", Help: "Usage records sent to AWS, by the outcome of the attempt.",
		}, []string{"outcome"}),
		calls: prometheus.NewCounter(prometheus.CounterOpts{Name: "liveness_metering_calls_total", Help: "Calls of BatchMeterUsage."}),
	}
	// At 0, so that the first one is an increase.
	for _, result := range []string{"handled", "failed", "malformed"} {
		c.messages.WithLabelValues(result)
	}
	for _, outcome := range []domain.MeteringOutcome{
		domain.MeteringSuccess, domain.MeteringDuplicate, domain.MeteringNotSubscribed, domain.MeteringUnprocessed, domain.MeteringNotSent,
		domain.MeteringThrottled, domain.MeteringUnknown, domain.MeteringTimestampRefused, domain.MeteringLicenceRefused,
		domain.MeteringDimensionRefused, domain.MeteringIdentityRefused, domain.MeteringRequestRefused, domain.MeteringAccessRefused,
	} {
		c.records.WithLabelValues(string(outcome))
	}
	return c
}

func (c *reportingCounters) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.messages, c.records, c.calls}
}

// counted counts the messages of the queue by what became of them.
func (c *reportingCounters) counted(handle func(context.Context, notifications.Message) error) func(context.Context, notifications.Message) error {
	return func(ctx context.Context, message notifications.Message) error {
		err, result := handle(ctx, message), "handled"
		switch {
		case errors.Is(err, notifications.ErrDeadLetter):
			result = "malformed"
		case err != nil:
			result = "failed"
		}
		c.messages.WithLabelValues(result).Inc()
		return err
	}
}

// meter counts the calls that pass through.
func (c *reportingCounters) meter(next metering.UsageMeter) metering.UsageMeter {
	return countingMeter{next: next, counters: c}
}

type countingMeter struct {
	next     metering.UsageMeter
	counters *reportingCounters
}

// MeterUsage implements metering.UsageMeter.
func (m countingMeter) MeterUsage(ctx context.Context, reports []metering.UsageReport) ([]metering.UsageAnswer, error) {
	answers, err := m.next.MeterUsage(ctx, reports)
	m.counters.calls.Inc()
	for _, answer := range answers {
		m.counters.records.WithLabelValues(string(answer.Outcome)).Inc()
	}
	return answers, err
}

// meteringMetrics tells how metering stands, asked for at every scrape.
type meteringMetrics struct {
	model *projections.Metering
	log   *slog.Logger

	oldest, open, quarantined, rejected, late, counted, accepted, difference *prometheus.Desc

	mu       sync.Mutex // guards what follows: the sums go over all records
	summedAt time.Time
	sums     projections.ReportedOverage
}

// sumsValidity is how old the sums over all records may be.
const sumsValidity = 5 * time.Minute

func newMeteringMetrics(model *projections.Metering, log *slog.Logger) *meteringMetrics {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("liveness_metering_"+name, help, nil, nil)
	}
	return &meteringMetrics{
		model: model, log: log,
		oldest:      describe("oldest_unsent_seconds", "Age of the end of the oldest hour that is sealed, or over for an hour, and that AWS has not answered for; 0 when there is none. Alert above 7200."),
		open:        describe("open_records", "Records that AWS has not answered for, and hours without one that are sealed, or over for an hour."),
		quarantined: describe("quarantined_records", "Records that wait for an operator. Alert above 0."),
		rejected:    describe("rejected_records", "Records with usage that were written off. Alert when it grows."),
		late:        describe("late_calls", "Calls counted after the usage of an ended subscription was sealed, written off. Alert when it grows."),
		counted:     describe("counted_calls", "Calls beyond the plans, by the log."),
		accepted:    describe("accepted_calls", "Calls beyond the plans that AWS bills."),
		difference:  describe("difference_calls", "Counted calls that are neither accepted, pending, carried, written off nor credited. Alert at anything but 0."),
	}
}

// Describe implements prometheus.Collector.
func (m *meteringMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.oldest, m.open, m.quarantined, m.rejected, m.late, m.counted, m.accepted, m.difference} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *meteringMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	health, err := m.model.Health(ctx)
	if err != nil {
		m.log.Warn("metering cannot be asked how it stands", "error", err)
		return
	}
	sums, err := m.sum(ctx)
	if err != nil {
		m.log.Warn("metering cannot be asked for its sums", "error", err)
		return
	}
	oldest := 0.0
	if !health.OldestOpen.IsZero() {
		oldest = max(0, time.Since(health.OldestOpen.Add(time.Hour)).Seconds())
	}
	for desc, value := range map[*prometheus.Desc]float64{
		m.oldest: oldest, m.open: float64(health.Open), m.quarantined: float64(health.Quarantined), m.rejected: float64(health.Rejected),
		m.late: float64(health.LateCalls), m.counted: float64(sums.Counted), m.accepted: float64(sums.Accepted), m.difference: float64(sums.Difference()),
	} {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
}

func (m *meteringMetrics) sum(ctx context.Context) (projections.ReportedOverage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.summedAt.IsZero() && time.Since(m.summedAt) < sumsValidity {
		return m.sums, nil
	}
	overages, err := m.model.Overages(ctx)
	if err != nil {
		return m.sums, err
	}
	m.sums, m.summedAt = projections.ReportedOverage{}, time.Now()
	for _, s := range overages {
		m.sums.Add(s.ReportedOverage)
	}
	return m.sums, nil
}
