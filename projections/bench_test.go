package projections_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// benchEvents is how many events benchmarks project; LIVENESS_BENCH_EVENTS sets another number.
func benchEvents(b *testing.B) int {
	b.Helper()
	text := os.Getenv("LIVENESS_BENCH_EVENTS")
	if text == "" {
		return 50_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("LIVENESS_BENCH_EVENTS=%q is not a number of events", text)
	}
	return n
}

// BenchmarkUsageFromZero projects counted calls of 50 subscriptions, spread over three months, from an empty read model: the
// engine and Postgres, with the log in memory.
func BenchmarkUsageFromZero(b *testing.B) { benchFromZero(b, projections.UsageProjection()) }

// BenchmarkTransparencyFromZero makes the Merkle tree over the same log.
func BenchmarkTransparencyFromZero(b *testing.B) {
	benchFromZero(b, projections.TransparencyProjection())
}

func benchFromZero(b *testing.B, p engine.Projection) {
	b.Helper()
	n := benchEvents(b)
	log := memorylog.New()
	log.BatchSize = 2000
	customers := make([]*projectionstest.Customer, 50)
	for i := range customers {
		customers[i] = projectionstest.NewCustomer(b, i)
	}
	for i := range n {
		c := customers[i*7%len(customers)]
		event := c.Check(memorylog.Epoch.Add(-time.Duration(n-i) * 90 * 24 * time.Hour / time.Duration(n)))
		log.Append(domain.UsageStream(c.Subscription, event.Month), event)
	}
	last, _ := log.Head(b.Context())
	for b.Loop() {
		b.StopTimer()
		pool := pgtest.Connect(b, pgtest.Durable(b))
		if err := postgres.Migrate(b.Context(), pool); err != nil {
			b.Fatal(err)
		}
		if err := engine.Prepare(b.Context(), pool, p); err != nil {
			b.Fatal(err)
		}
		e := projectionstest.NewEngine(b, pool, log, p)
		b.StartTimer()
		stop := projectionstest.Run(b, e)
		if err := engine.NewBarrier(pool, time.Hour).WaitFor(context.WithoutCancel(b.Context()), p.Name, last); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		stop()
		pool.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkFindKey is the look-up that every check begins with, among the keys of 20,000 customers.
func BenchmarkFindKey(b *testing.B) {
	pool := pgtest.Pool(b)
	p := projections.APIKeysProjection()
	if err := engine.Prepare(b.Context(), pool, p); err != nil {
		b.Fatal(err)
	}
	if _, err := pool.Exec(b.Context(), `
		insert into api_keys.keys
		select encode(sha256(n::text::bytea), 'hex'), gen_random_uuid(), gen_random_uuid(), 'primary', 'lc_', now(), 0
		from generate_series(1, 20000) as n`); err != nil {
		b.Fatal(err)
	}
	const hash = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b" // of "1"
	keys := projections.NewAPIKeys(pool)
	b.ResetTimer()
	b.RunParallel(func(loop *testing.PB) {
		for loop.Next() {
			if _, by, err := keys.FindKey(b.Context(), []string{hash}); by == "" || err != nil {
				b.Errorf("found by %q, %v", by, err)
				return
			}
		}
	})
}
