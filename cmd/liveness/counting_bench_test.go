package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// manyClients is how many clients send checks at the same time under load.
const manyClients = 64

// BenchmarkDurableChecks counts checks durably with inference replaced by a constant, for one subscription, by many
// clients and by a single one, and spread over a hundred: through the checker, the official client and the embedded node on disk; and beside it the usual way, a
// counter row and an event row in one Postgres transaction. One iteration is one acknowledged check.
func BenchmarkDurableChecks(b *testing.B) {
	for _, load := range []struct{ subscriptions, clients int }{{1, 1}, {1, manyClients}, {100, manyClients}} {
		shape := fmt.Sprintf("/subscriptions=%d/clients=%d", load.subscriptions, load.clients)
		b.Run("liveness"+shape, func(b *testing.B) {
			checker, owners, _ := countingSystem(b, load.subscriptions)
			countWith(b, load.clients, func(ctx context.Context, i int) error { return countOne(ctx, checker, owners[i%len(owners)]) })
		})
		b.Run("postgres"+shape, func(b *testing.B) {
			pool, ids := countingTables(b, load.subscriptions)
			countWith(b, load.clients, func(ctx context.Context, i int) error { return countInPostgres(ctx, pool, ids[i%len(ids)]) })
		})
	}
}

// BenchmarkChecksBesideTheTree counts checks while a worker in the same process keeps the read models, without and with the
// Merkle tree: appends do nothing for the tree, so what it costs them is the processor time of its projection.
func BenchmarkChecksBesideTheTree(b *testing.B) {
	for _, tree := range []bool{false, true} {
		b.Run(fmt.Sprintf("tree=%t", tree), func(b *testing.B) {
			checker, owners, client := countingSystem(b, 1)
			pool, err := pgxpool.New(b.Context(), pgtest.Durable(b))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(pool.Close)
			if err := postgres.Migrate(b.Context(), pool); err != nil {
				b.Fatal(err)
			}
			read := projections.All()
			if !tree {
				read = slices.DeleteFunc(read, func(p engine.Projection) bool { return p.Name == projections.TransparencyProjection().Name })
			}
			source := eventstoredb.NewSource(client, domain.NewRegistry(), slog.New(slog.DiscardHandler))
			projectionstest.Run(b, projectionstest.NewEngine(b, pool, source, read...))
			countWith(b, manyClients, func(ctx context.Context, _ int) error { return countOne(ctx, checker, owners[0]) })
		})
	}
}

// countOne counts a check.
func countOne(ctx context.Context, checker *counting.LivenessChecker, owner counting.KeyOwner) error {
	reservation, err := checker.Begin(ctx, owner, "")
	if err != nil {
		return err
	}
	defer reservation.Release()
	_, err = checker.Check(ctx, reservation, counting.CheckLiveness{
		By: commands.NewOrigin(domain.ActorAPIClient), Format: "jpeg", StartedAt: time.Now(),
	})
	return err
}

// countWith lets clients send checks until b.N are acknowledged, and reports rate, latencies and what was allocated.
func countWith(b *testing.B, clients int, check func(ctx context.Context, i int) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	latencies := make([][]time.Duration, clients)
	var group sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for client := range clients {
		group.Go(func() {
			for i := client; left.Add(-1) >= 0; i++ {
				began := time.Now()
				if err := check(b.Context(), i); err != nil {
					b.Error(err)
					return
				}
				latencies[client] = append(latencies[client], time.Since(began))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "checks/s")
	b.ReportMetric(all[len(all)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(all[len(all)*99/100].Seconds()*1000, "p99-ms")
}

// constantJudge is inference that costs nothing.
type constantJudge struct{}

func (constantJudge) Judge(context.Context, counting.Share, []byte, string) (domain.Judgement, error) {
	return domain.Judgement{FakeLikelihood: 0.012345, ValidFace: true, Brightness: 142.3, Threshold: 0.15,
		ModelPack: "constant", ModelPackHash: "0123456789abcdef"}, nil
}

// unindexed is an index that is never asked: the checks have no Idempotency-Key.
type unindexed struct{}

func (unindexed) FindCheck(context.Context, uuid.UUID, domain.Month, uuid.UUID) (int64, bool, int64, error) {
	return 0, false, 0, nil
}

// countingSystem starts a node on disk and a checker that is its client.
func countingSystem(b *testing.B, subscriptions int) (*counting.LivenessChecker, []counting.KeyOwner, *eventstoredb.Client) {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	started := nodetest.Start(b, node.Config{})
	client, err := eventstoredb.Connect(started.ConnectionString(), log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	owners := make([]counting.KeyOwner, subscriptions)
	for i := range owners {
		owners[i] = counting.KeyOwner{CustomerID: uuid.New(), SubscriptionID: uuid.New(), Slot: domain.SlotPrimary}
		begun := domain.SubscriptionStarted{
			SubscriptionID: owners[i].SubscriptionID, CustomerID: owners[i].CustomerID, Plan: domain.PlanEnterprise,
			Limit: 1 << 40, Overage: domain.OverageStop, StartedAt: time.Now().UTC(),
		}
		if _, err := store.Append(b.Context(), domain.SubscriptionStream(owners[i].SubscriptionID), commands.NoStream,
			[]commands.Proposed{{ID: uuid.New(), Event: begun}}); err != nil {
			b.Fatal(err)
		}
	}
	counter := counting.NewUsageCounter(store, unindexed{}, time.Now, log)
	b.Cleanup(counter.Close)
	return counting.NewLivenessChecker(counter, constantJudge{}, make(commands.OneSecret, 32), time.Now), owners, client
}

// countingTables makes the tables of the usual way.
func countingTables(b *testing.B, subscriptions int) (*pgxpool.Pool, []uuid.UUID) {
	b.Helper()
	config, err := pgxpool.ParseConfig(pgtest.Durable(b))
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = manyClients
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if _, err := pool.Exec(b.Context(), `
		create table counters (subscription uuid primary key, counted bigint not null);
		create table checks (id uuid primary key, subscription uuid not null, ordinal bigint not null, body jsonb not null)`); err != nil {
		b.Fatal(err)
	}
	ids := make([]uuid.UUID, subscriptions)
	for i := range ids {
		ids[i] = uuid.New()
		if _, err := pool.Exec(b.Context(), `insert into counters values ($1, 0)`, ids[i]); err != nil {
			b.Fatal(err)
		}
	}
	return pool, ids
}

// countInPostgres counts one check in one transaction and one round trip.
func countInPostgres(ctx context.Context, pool *pgxpool.Pool, subscription uuid.UUID) error {
	_, err := pool.Exec(ctx, `
		with counted as (update counters set counted = counted + 1 where subscription = $1 returning counted)
		insert into checks select $2, $1, counted, $3 from counted`,
		subscription, uuid.New(), `{"fakeLikelihood": 0.012345, "validFace": true, "brightness": 142.3, "threshold": 0.15}`)
	return err
}
