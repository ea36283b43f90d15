package store

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What becomes of a write.
const (
	outcomeWritten  = "written"
	outcomeConflict = "conflict" // its stream was not as the writer expected
	outcomeRefused  = "refused"  // its stream is deleted, or who asked has left
	outcomeFailed   = "failed"   // by the database: the disk is full, for example
)

// metrics are what a store counts for Prometheus.
type metrics struct {
	writes  *prometheus.CounterVec
	events  prometheus.Counter
	batches prometheus.Histogram
	commits prometheus.Histogram
}

func newMetrics() *metrics {
	m := &metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "liveness_node_writes_total", Help: "Appends, deletions and states of subscriptions that were asked for, by what became of them.",
		}, []string{"outcome"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{Name: "liveness_node_events_total", Help: "Events that were written since the node started."}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "liveness_node_batch_writes", Help: "Writes that shared one transaction, and so one wait for the disk.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "liveness_node_commit_duration_seconds", Help: "How long transactions took to be durable, in seconds: mostly the disk's fsync.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}),
	}
	for _, outcome := range []string{outcomeWritten, outcomeConflict, outcomeRefused, outcomeFailed} { // at 0, so that the first one is an increase
		m.writes.WithLabelValues(outcome)
	}
	return m
}

func (m *metrics) observeWrite(err error) {
	var outcome string
	switch {
	case err == nil:
		outcome = outcomeWritten
	case errors.As(err, new(*WrongExpectedError)):
		outcome = outcomeConflict
	case refusal(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		outcome = outcomeRefused
	default:
		outcome = outcomeFailed
	}
	m.writes.WithLabelValues(outcome).Inc()
}

func (m *metrics) observeCommit(writes int, took time.Duration, err error) {
	if err != nil {
		return
	}
	m.batches.Observe(float64(writes))
	m.commits.Observe(took.Seconds())
}

// collectors returns what a store tells: what it has counted, and what is looked at when it is asked for.
func (s *Store) collectors() []prometheus.Collector {
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "liveness_node_" + name, Help: help, ConstLabels: labels}, value)
	}
	all := []prometheus.Collector{
		s.metrics.writes, s.metrics.events, s.metrics.batches, s.metrics.commits,
		gauge("log_events", "Events of the log, those of the node's own included: the position of the newest.", nil, func() float64 { return float64(s.Head()) }),
		gauge("streams", "Streams that were ever written to, those of metadata included.", nil, s.streams),
		gauge("writes_waiting", "Writes that wait for the transaction under way to end.", nil, func() float64 { return float64(len(s.queue)) }),
		gauge("disk_free_bytes", "Bytes that are left to the node on the disk of its directory.", nil, s.diskFree),
	}
	for file, path := range map[string]string{"log": File, "wal": logFile} {
		all = append(all, gauge("disk_bytes", "Bytes of the node's files: the log, and the write-ahead log before it.", prometheus.Labels{"file": file}, func() float64 {
			size, err := fileSize(filepath.Join(s.dir, path))
			if err != nil {
				s.options.Logger.Warn("event store: it is not known how large a file is", "error", err)
			}
			return float64(size)
		}))
	}
	return all
}

// Register has Prometheus see the store.
func (s *Store) Register(registerer prometheus.Registerer) error {
	for _, collector := range s.collectors() {
		if err := registerer.Register(collector); err != nil {
			return err
		}
	}
	return nil
}

// statisticsTimeout is how long a scrape waits for one of the connections that read.
const statisticsTimeout = time.Second

// streams returns how many streams there are. None of them is ever taken out, so that the last number is their count.
func (s *Store) streams() (count float64) {
	ctx, cancel := context.WithTimeout(context.Background(), statisticsTimeout)
	defer cancel()
	err := s.read(ctx, func(c *conn) error {
		last, _, err := c.integer(ctx, "SELECT max(id) FROM streams")
		count = float64(last)
		return err
	})
	if err != nil {
		s.options.Logger.Warn("event store: streams cannot be counted", "error", err)
	}
	return count
}

func (s *Store) diskFree() float64 {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &disk); err != nil {
		s.options.Logger.Warn("event store: it is not known how much room the disk has", "error", err)
		return 0
	}
	return float64(disk.Bavail) * float64(disk.Bsize)
}
