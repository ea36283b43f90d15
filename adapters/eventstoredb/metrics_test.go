package eventstoredb_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// observed returns how often each outcome of a call was observed.
func observed(t *testing.T, registry *prometheus.Registry, name string) map[string]uint64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]uint64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name {
				times[metric.GetLabel()[0].GetValue()] = metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return times
}

// Appends and reads are told apart by what became of them, each outcome from the start.
func TestCallsAreMeasured(t *testing.T) {
	t.Parallel()
	client := connect(t, startNode(t, t.TempDir(), "").ConnectionString())
	registry := prometheus.NewRegistry()
	registry.MustRegister(client.Metrics()...)
	const appends, reads = "liveness_store_append_duration_seconds", "liveness_store_read_duration_seconds"
	if first := observed(t, registry, appends); len(first) != 5 || first["conflict"] != 0 {
		t.Errorf("at first the appends are %v", first)
	}
	if first := observed(t, registry, reads); len(first) != 4 {
		t.Errorf("at first the reads are %v", first)
	}
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	stream := domain.SubscriptionStream(uuid.New())
	proposed := func() []commands.Proposed {
		return []commands.Proposed{{ID: uuid.New(), Event: domain.OverageSwitched{}, Meta: domain.Metadata{Actor: domain.ActorUser}}}
	}
	if _, err := store.Append(t.Context(), stream, commands.NoStream, proposed()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), stream, commands.NoStream, proposed()); !errors.Is(err, commands.ErrConflict) {
		t.Fatalf("a conflict is %v", err)
	}
	if _, err := store.Read(t.Context(), stream, 0, 10); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), stream, 0, proposed()); !errors.Is(err, commands.ErrStoreUnavailable) {
		t.Fatalf("a store that is gone: %v", err)
	}
	if after := observed(t, registry, appends); after["done"] != 1 || after["conflict"] != 1 || after["unavailable"] != 1 {
		t.Errorf("the appends are %v", after)
	}
	if after := observed(t, registry, reads); after["done"] != 1 {
		t.Errorf("the reads are %v", after)
	}
}
