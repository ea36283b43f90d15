package main

import (
	"context"
	"fmt"
)

// measureCounting is the exact, durable count of checks with inference replaced by a constant, at 64 clients, beside the
// usual way: a counter row and an event row in one Postgres transaction.
func measureCounting(ctx context.Context, b *bench) ([]row, error) {
	m, err := b.measureGo(ctx, goBenchmarks{
		pkg: "cmd/liveness", pattern: "^BenchmarkDurableChecks$", time: either(b, "2s", "300ms"), rounds: either(b, 3, 1),
	})
	if err != nil {
		return nil, err
	}
	t := tabulate(m)
	for _, load := range []struct {
		subscriptions int
		rate          float64
	}{{1, 5_000}, {100, 3_000}} {
		name := fmt.Sprintf("%d subscriptions", load.subscriptions)
		if load.subscriptions == 1 {
			name = "1 hot subscription"
		}
		ours := fmt.Sprintf("DurableChecks/liveness/subscriptions=%d", load.subscriptions)
		usual := fmt.Sprintf("DurableChecks/postgres/subscriptions=%d", load.subscriptions)
		t.add(row{Name: name, Target: atLeast(load.rate)}, ours, "checks/s").beside(usual, "UPDATE and INSERT in Postgres")
		t.add(row{Name: name + ", p50"}, ours, "p50-ms").beside(usual, "the same")
		t.add(row{Name: name + ", p99", Target: atMost(60)}, ours, "p99-ms").beside(usual, "the same")
	}
	return t.rows, t.err
}
