package main

import (
	"context"
)

// measureCounting is the exact, durable count of checks with inference replaced by a constant, beside the
// usual way: a counter row and an event row in one Postgres transaction.
func measureCounting(ctx context.Context, b *bench) ([]row, error) {
	m, err := b.measureGo(ctx, goBenchmarks{
		pkg: "cmd/liveness", pattern: "^Benchmark(DurableChecks|ChecksBesideTheTree)$", time: either(b, "2s", "300ms"), rounds: either(b, 3, 1),
	})
	if err != nil {
		return nil, err
	}
	t := tabulate(m)
	alone := "/subscriptions=1/clients=1"
	t.add(row{Name: "1 client, p50"}, "DurableChecks/liveness"+alone, "p50-ms").against("DurableChecks/postgres"+alone, "UPDATE and INSERT in Postgres")
	for _, load := range []struct {
		name, shape string
		rate        float64
	}{{"1 hot subscription, 64 clients", "/subscriptions=1/clients=64", 5_000}, {"100 subscriptions, 64 clients", "/subscriptions=100/clients=64", 3_000}} {
		name, ours, usual := load.name, "DurableChecks/liveness"+load.shape, "DurableChecks/postgres"+load.shape
		t.add(row{Name: name, Target: atLeast(load.rate)}, ours, "checks/s").against(usual, "UPDATE and INSERT in Postgres")
		t.add(row{Name: name + ", p50"}, ours, "p50-ms").against(usual, "the same")
		t.add(row{Name: name + ", p99", Target: atMost(60)}, ours, "p99-ms").against(usual, "the same")
		t.add(row{Name: name + ", allocated for a check"}, ours, "B/op")
		t.add(row{Name: name + ", allocations for a check"}, ours, "allocs/op")
	}
	t.add(row{Name: "64 clients and a worker in one process, with the Merkle tree", Target: ratioAtLeast(0.97)}, "ChecksBesideTheTree/tree=true", "checks/s").
		against("ChecksBesideTheTree/tree=false", "without")
	return t.rows, t.err
}
