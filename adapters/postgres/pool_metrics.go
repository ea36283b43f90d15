package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolMetrics tells how a pool stands, asked for at every scrape. It costs no query.
type poolMetrics struct {
	pool *pgxpool.Pool

	connections, limit, waited, acquired *prometheus.Desc
}

// NewPoolMetrics returns how the connections to the database are used, for Prometheus.
func NewPoolMetrics(pool *pgxpool.Pool) prometheus.Collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("liveness_database_"+name, help, labels, nil)
	}
	return &poolMetrics{
		pool:        pool,
		connections: describe("connections", "Connections to Postgres by state: used, idle, or being made.", "state"),
		limit:       describe("connections_limit", "Most connections to Postgres that this node opens: pool_max_conns of its URL."),
		waited:      describe("wait_seconds_total", "How long queries have waited for a connection, in seconds, all together."),
		acquired:    describe("acquired_connections_total", "How often a connection was taken for queries."),
	}
}

// Describe implements prometheus.Collector.
func (m *poolMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.connections, m.limit, m.waited, m.acquired} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(to chan<- prometheus.Metric) {
	stands := m.pool.Stat()
	for state, count := range map[string]int32{"used": stands.AcquiredConns(), "idle": stands.IdleConns(), "made": stands.ConstructingConns()} {
		to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(count), state)
	}
	to <- prometheus.MustNewConstMetric(m.limit, prometheus.GaugeValue, float64(stands.MaxConns()))
	to <- prometheus.MustNewConstMetric(m.waited, prometheus.CounterValue, stands.AcquireDuration().Seconds())
	to <- prometheus.MustNewConstMetric(m.acquired, prometheus.CounterValue, float64(stands.AcquireCount()))
}
