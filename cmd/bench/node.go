package main

import "context"

// measureNode is the event store node through the official client, beside the database that it is built on.
func measureNode(ctx context.Context, b *bench) ([]row, error) {
	m, err := b.measureGo(ctx, goBenchmarks{
		pkg: "adapters/node", pattern: "^Benchmark(Append|SQLiteInsert|ReadAll|Subscription)$",
		time: either(b, "1s", "200ms"), rounds: either(b, 3, 1),
	})
	if err != nil {
		return nil, err
	}
	t := tabulate(m)
	t.add(row{Name: "appends, 1 client", Target: atLeast(1_000)}, "Append/clients=1", "events/s").
		against("SQLiteInsert/batch=1", "SQLite, 1 row a transaction")
	// Of 64 clients about half are answered by one commit while the other half is on its way.
	t.add(row{Name: "appends, 64 clients", Target: atLeast(10_000)}, "Append/clients=64", "events/s").
		against("SQLiteInsert/batch=32", "SQLite, 32 rows a transaction")
	t.add(row{Name: "read of $all", Target: atLeast(100_000)}, "ReadAll", "events/s")
	t.add(row{Name: "append to delivery at 1,000/s, p50"}, "Subscription", "p50-ms")
	t.add(row{Name: "append to delivery at 1,000/s, p99", Target: atMost(15)}, "Subscription", "p99-ms")
	return t.rows, t.err
}
