package main

import (
	"context"
	"fmt"
	"strings"
)

// measureProjections is how fast counted calls become a read model again, and how fast the dashboard reads it when it is
// large.
func measureProjections(ctx context.Context, b *bench) ([]row, error) {
	rows, err := projected(ctx, b)
	if err != nil {
		return rows, err
	}
	queries, err := queried(ctx, b)
	return append(rows, queries...), err
}

func projected(ctx context.Context, b *bench) ([]row, error) {
	events := b.Events
	if events == 0 {
		events = either(b, 1_000_000, 20_000)
	}
	whole, err := b.measureGo(ctx, goBenchmarks{
		pkg: "cmd/liveness", pattern: "^BenchmarkProjectUsage$", time: "1x", rounds: 1, env: []string{fmt.Sprintf("LIVENESS_BENCH_EVENTS=%d", events)},
	})
	if err != nil {
		return nil, err
	}
	// Memory holds the log of the other one: a part of the events is enough for a rate.
	bare, err := b.measureGo(ctx, goBenchmarks{
		pkg: "projections", pattern: "^BenchmarkUsageFromZero$", time: "1x", rounds: 1, env: []string{fmt.Sprintf("LIVENESS_BENCH_EVENTS=%d", min(events, 300_000))},
	})
	if err != nil {
		return nil, err
	}
	t := tabulate(whole)
	t.add(row{Name: fmt.Sprintf("%d events from zero", events), Target: atLeast(30_000)}, "ProjectUsage", "events/s")
	without, err := bare.of("UsageFromZero", "events/s")
	if err != nil {
		return nil, err
	}
	t.againstValue(without, "without node and client")
	t.add(row{Name: "allocated for an event, with the node"}, "ProjectUsage", "B/event")
	t.add(row{Name: "allocations for an event, with the node"}, "ProjectUsage", "allocs/event")
	return t.rows, t.err
}

// queried returns the slowest query of the dashboard.
func queried(ctx context.Context, b *bench) ([]row, error) {
	checks := b.Checks
	if checks == 0 {
		checks = either(b, 10_000_000, 100_000)
	}
	m, err := b.measureGo(ctx, goBenchmarks{
		pkg: "projections", pattern: "^BenchmarkDashboard$", time: either(b, "200x", "20x"), rounds: 1, env: []string{fmt.Sprintf("LIVENESS_BENCH_CHECKS=%d", checks)},
	})
	if err != nil {
		return nil, err
	}
	t := tabulate(m)
	slowest := ""
	for name, units := range m {
		if slowest == "" || units["p99-ms"] > m[slowest]["p99-ms"] {
			slowest = name
		}
	}
	_, query, _ := strings.Cut(slowest, "query=")
	t.add(row{Name: fmt.Sprintf("slowest query over %d checks (%s), p99", checks, query), Target: atMost(20)}, slowest, "p99-ms")
	return t.rows, t.err
}
