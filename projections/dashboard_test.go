package projections_test

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// dashboard is a database as full as a service of many customers leaves it: a hundred of them over twelve months, of whom
// the first made half of all calls.
type dashboard struct {
	pool *pgxpool.Pool
	sent *sentQueries
}

const dashboardCustomers = 100

// openDashboard fills the tables without the engine, which would take much longer.
func openDashboard(tb testing.TB, checks int) *dashboard {
	tb.Helper()
	d := &dashboard{sent: &sentQueries{}}
	filler := pgtest.Pool(tb)
	if err := engine.Prepare(tb.Context(), filler, projections.UsageProjection(), projections.ActivityProjection(), projections.APIKeysProjection()); err != nil {
		tb.Fatal(err)
	}
	const perCustomer = `case customer when 0 then $1::bigint / 24 else $1::bigint / (24 * 99) end`
	const customersAndMonths = ` from generate_series(0, 99) as customer cross join generate_series(0, 11) as m
		cross join lateral (select md5(customer::text)::uuid as id, (date '2025-12-01' + m * interval '1 month')::date as month) as of_month `
	for _, fill := range []string{
		`insert into usage.checks (subscription_id, check_id, ordinal, completed_at, fake_likelihood, brightness, month, latency_ms, fake_face, valid_face, keyed, billing, key_slot)
			select id, gen_random_uuid(), n, month + n * interval '1 second', 0.1, 120, month, 80, false, true, n % 10 = 0, 'included', 'primary' ` +
			customersAndMonths + `cross join lateral generate_series(1, ` + perCustomer + `) as n`,
		`insert into usage.months (subscription_id, month, customer_id, included, overage, ordinal, plan, call_limit, policy, last_at)
			select id, month, id, ` + perCustomer + `, 0, ` + perCustomer + `, 'business', 30000, 'continue', month ` + customersAndMonths,
		`insert into usage.days (subscription_id, day, included, overage, fake)
			select id, month + day, $1::bigint / 100000, 0, 0 ` + customersAndMonths + `cross join generate_series(0, 27) as day`,
		`insert into usage.hours (subscription_id, hour, plan, included, overage)
			select id, month + hour * interval '1 hour', 'business', $1::bigint / 1000000, 0 ` + customersAndMonths + `cross join generate_series(0, least($1::bigint / 10000, 671)) as hour`,
		`insert into activity.activity (customer_id, position, event_id, kind, actor, at, detail)
			select md5((n % 100)::text)::uuid, n, gen_random_uuid(), 'LoginSucceeded', 'customer', now(), '{}' from generate_series(1, 10000 + $1::bigint / 1000) as n`,
		`insert into api_keys.keys (hash, customer_id, subscription_id, slot, prefix, issued_at, revision)
			select md5(n::text), md5((n / 2)::text)::uuid, md5((n / 2)::text)::uuid, case n % 2 when 0 then 'primary' else 'secondary' end, 'lc_abc12', now(), 0
			from generate_series(0, 9999 + $1::bigint / 1000) as n`,
	} {
		if _, err := filler.Exec(tb.Context(), fill, checks); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := filler.Exec(tb.Context(), "vacuum analyze"); err != nil {
		tb.Fatal(err)
	}
	config := filler.Config()
	config.ConnConfig.Tracer = d.sent
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	d.pool = pool
	return d
}

// dashboardCustomer is the id that the tables know a customer, and its subscription, by.
func dashboardCustomer(n int) uuid.UUID { return uuid.UUID(md5.Sum([]byte(strconv.Itoa(n)))) }

// dashboardQueries are the reads of the console's screens, and of a check, for one customer.
func dashboardQueries(d *dashboard) map[string]func(ctx context.Context, customer uuid.UUID) error {
	usage, activity, keys := projections.NewUsage(d.pool), projections.NewActivity(d.pool), projections.NewAPIKeys(d.pool)
	month := domain.Month{Year: 2026, Month: time.November}
	deep := projections.CheckCursor{Month: domain.Month{Year: 2026, Month: time.May}, Ordinal: 10}
	return map[string]func(ctx context.Context, customer uuid.UUID) error{
		"month":  func(ctx context.Context, c uuid.UUID) error { _, err := usage.Month(ctx, c, month); return err },
		"months": func(ctx context.Context, c uuid.UUID) error { _, err := usage.Months(ctx, c); return err },
		"days":   func(ctx context.Context, c uuid.UUID) error { _, err := usage.Days(ctx, c, month); return err },
		"checks": func(ctx context.Context, c uuid.UUID) error {
			return full(usage.Checks(ctx, c, projections.CheckFilter{}, projections.CheckCursor{}, 10))
		},
		"older-checks": func(ctx context.Context, c uuid.UUID) error {
			return full(usage.Checks(ctx, c, projections.CheckFilter{}, deep, 50))
		},
		"activity": func(ctx context.Context, c uuid.UUID) error {
			return full(activity.List(ctx, c, c, projections.ActivityFilter{}, 0, 50))
		},
		"keys": func(ctx context.Context, c uuid.UUID) error { return full(keys.KeysOf(ctx, c)) },
		"key": func(ctx context.Context, _ uuid.UUID) error {
			_, _, err := keys.FindKey(ctx, []string{dashboardCustomer(1).String()})
			return err
		},
		"idempotency": func(ctx context.Context, c uuid.UUID) error {
			_, _, _, err := usage.FindCheck(ctx, c, month, uuid.New())
			return err
		},
	}
}

// full fails when a list is empty: what is measured must be there.
func full[T any](list []T, err error) error {
	if err == nil && len(list) == 0 {
		return fmt.Errorf("the list of %T is empty", list)
	}
	return err
}

// sentQueries remembers what was asked of Postgres, and with which arguments.
type sentQueries struct {
	mu  sync.Mutex
	all []pgx.TraceQueryStartData
}

func (s *sentQueries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, data)
	return ctx
}

func (*sentQueries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *sentQueries) take() []pgx.TraceQueryStartData {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// planNode is what EXPLAIN says of one step.
type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Plans    []planNode `json:"Plans"`
}

func (n planNode) each(visit func(planNode)) {
	visit(n)
	for _, below := range n.Plans {
		below.each(visit)
	}
}

// TestDashboardQueriesUseIndexes asks Postgres how it answers every query that a screen or a check sends: through an index,
// and never by walking a table that grows.
func TestDashboardQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	d := openDashboard(t, 100_000)
	for name, query := range dashboardQueries(d) {
		d.sent.take()
		if err := query(t.Context(), dashboardCustomer(0)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sent := d.sent.take()
		if len(sent) == 0 {
			t.Errorf("%s sent no query", name)
		}
		for _, q := range sent {
			var text []byte
			if err := d.pool.QueryRow(t.Context(), "explain (format json) "+q.SQL, q.Args...).Scan(&text); err != nil {
				t.Fatalf("explain %s: %v", name, err)
			}
			var plans []struct{ Plan planNode }
			if err := json.Unmarshal(text, &plans); err != nil {
				t.Fatal(err)
			}
			indexes := 0
			plans[0].Plan.each(func(n planNode) {
				if n.Type == "Seq Scan" {
					t.Errorf("%s walks the whole table %s:\n%s\n%s", name, n.Relation, q.SQL, text)
				}
				if n.Index != "" {
					indexes++
				}
			})
			if indexes == 0 {
				t.Errorf("%s uses no index:\n%s\n%s", name, q.SQL, text)
			}
		}
	}
}

// BenchmarkDashboard reads what the screens show while the tables hold LIVENESS_BENCH_CHECKS counted calls, 100,000 without
// it. Each read is of another customer, every second one of the largest.
func BenchmarkDashboard(b *testing.B) {
	checks := 100_000
	if text := os.Getenv("LIVENESS_BENCH_CHECKS"); text != "" {
		var err error
		if checks, err = strconv.Atoi(text); err != nil || checks < 100_000 {
			b.Fatalf("LIVENESS_BENCH_CHECKS=%q is not a number of at least 100,000 checks", text)
		}
	}
	d := openDashboard(b, checks)
	for name, query := range dashboardQueries(d) {
		b.Run("query="+name, func(b *testing.B) {
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				if err := query(b.Context(), dashboardCustomer(i%2*(i%dashboardCustomers))); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.ReportMetric(times[(len(times)-1)*50/100].Seconds()*1000, "p50-ms")
			b.ReportMetric(times[(len(times)-1)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}
