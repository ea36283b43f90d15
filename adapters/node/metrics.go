package node

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Register has Prometheus see the node: its log, its disk, and who follows it.
func (n *Node) Register(registerer prometheus.Registerer) error {
	subscriptions := func(kind string, count func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "liveness_node_subscriptions", Help: "Subscriptions that clients follow: catch_up by themselves, persistent as consumers of a group.",
			ConstLabels: prometheus.Labels{"kind": kind},
		}, func() float64 { return float64(count()) })
	}
	if err := n.store.Register(registerer); err != nil {
		return fmt.Errorf("register the metrics of the event store node: %w", err)
	}
	for _, collector := range []prometheus.Collector{
		subscriptions("catch_up", n.server.Subscriptions), subscriptions("persistent", n.persistent.Consumers),
	} {
		if err := registerer.Register(collector); err != nil {
			return fmt.Errorf("register the metrics of the event store node: %w", err)
		}
	}
	return nil
}
