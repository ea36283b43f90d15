package node_test

import (
	"errors"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/node"
)

// value returns a metric of a node whose first label has a value; of a histogram how often it was observed.
func value(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() != "liveness_node_"+name || label != "" && metric.GetLabel()[0].GetValue() != label {
				continue
			}
			if histogram := metric.GetHistogram(); histogram != nil {
				return float64(histogram.GetSampleCount())
			}
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s of %q", name, label)
	return 0
}

// An operator sees what is written, what it costs, how large it is and who follows it.
func TestNodeIsMeasured(t *testing.T) {
	t.Parallel()
	// Not like a version line: there it writes events of its own meanwhile, as servers do at their start.
	n, err := node.Start(t.Context(), node.Config{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	client := connect(t, n.ConnectionString())
	registry := prometheus.NewRegistry()
	if err := n.Register(registry); err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string][]string{
		"writes_total": {"conflict", "refused", "failed"}, "subscriptions": {"catch_up", "persistent"}, "writes_waiting": {""},
	} {
		for _, label := range labels {
			if got := value(t, registry, name, label); got != 0 {
				t.Errorf("%s %s is %v at first", name, label, got)
			}
		}
	}
	written, commits := value(t, registry, "writes_total", "written"), value(t, registry, "commit_duration_seconds", "")
	events, streams := value(t, registry, "events_total", ""), value(t, registry, "streams", "")
	event := esdb.EventData{EventType: "Opened", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
	other := event
	other.EventType = "Another"
	first := esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}
	if _, err := client.AppendToStream(t.Context(), "account-1", first, event, event); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AppendToStream(t.Context(), "account-1", first, other); err == nil {
		t.Fatal("a conflict is none")
	}
	for name, want := range map[string]float64{"events_total": events + 2, "streams": streams + 1, "log_events": float64(n.Store().Head())} {
		if got := value(t, registry, name, ""); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := value(t, registry, "writes_total", "written"); got != written+1 {
		t.Errorf("%v writes, want %v", got, written+1)
	}
	if got := value(t, registry, "writes_total", "conflict"); got != 1 {
		t.Errorf("%v conflicts, want 1", got)
	}
	if got := value(t, registry, "commit_duration_seconds", ""); got <= commits || got != value(t, registry, "batch_writes", "") {
		t.Errorf("%v transactions, %v batches", got, value(t, registry, "batch_writes", ""))
	}
	for name, label := range map[string]string{"disk_free_bytes": "", "disk_bytes": "log"} {
		if got := value(t, registry, name, label); got <= 0 {
			t.Errorf("%s is %v", name, got)
		}
	}
	subscription, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	if subscription.Recv().EventAppeared == nil { // it is under way
		t.Fatal("the subscription has no event")
	}
	if got := value(t, registry, "subscriptions", "catch_up"); got != 1 {
		t.Errorf("%v subscriptions, want 1", got)
	}
	if err := n.Register(registry); !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		t.Errorf("registered twice: %v", err)
	}
}
