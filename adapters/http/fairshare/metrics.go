package fairshare

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics says how a pool stands, for Prometheus. No holder is named: there may be thousands.
type metrics struct {
	pool                                             *Pool
	capacity, taken, largest, holders, gave, refused *prometheus.Desc
}

// NewMetrics returns the metrics of a pool, by the name of what it divides.
func NewMetrics(of string, pool *Pool) prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("liveness_share_"+name, help, nil, prometheus.Labels{"of": of})
	}
	return &metrics{
		pool:     pool,
		capacity: desc("capacity", "How much there is to divide: connections, checks under way, bytes of images and proofs."),
		taken:    desc("taken", "How much is taken."),
		largest:  desc("largest_ratio", "What the holder with most has of the capacity, 0 to 1."),
		holders:  desc("holders", "How many have a part: subscriptions, and strangers as one."),
		gave:     desc("gave_way_total", "Claims that were ended to make room for holders that had less."),
		refused:  desc("refused_total", "Claims that found all taken and nobody with a larger share."),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.capacity, m.taken, m.largest, m.holders, m.gave, m.refused} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	s := m.pool.Stand()
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
		to <- prometheus.MustNewConstMetric(d, kind, value)
	}
	tell(m.capacity, prometheus.GaugeValue, float64(s.Capacity))
	tell(m.taken, prometheus.GaugeValue, float64(s.Taken))
	tell(m.largest, prometheus.GaugeValue, float64(s.Largest)/float64(s.Capacity))
	tell(m.holders, prometheus.GaugeValue, float64(s.Holders))
	tell(m.gave, prometheus.CounterValue, float64(s.GaveWay))
	tell(m.refused, prometheus.CounterValue, float64(s.Refused))
}

// Standing is how a pool stands.
type Standing struct {
	Capacity, Taken  int64
	Largest          int64 // what the holder with most has
	Holders          int
	GaveWay, Refused int64
}

// Stand returns how the pool stands.
func (p *Pool) Stand() Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Standing{
		Capacity: p.capacity, Taken: p.granted + p.leaving, Holders: len(p.groups),
		GaveWay: p.gaveWay.Load(), Refused: p.refused.Load(),
	}
	for _, g := range p.groups {
		s.Largest = max(s.Largest, g.granted)
	}
	return s
}
