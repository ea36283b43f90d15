package projections_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// What few of many calls are is found by an index and not by a walk past all the others, without a day and also when Postgres
// plans once for all arguments.
func TestFiltersOfChecksUseAnIndex(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	p := projections.UsageProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	subscription := uuid.New()
	if _, err := pool.Exec(t.Context(), `
		insert into usage.checks
		select $1, gen_random_uuid(), n, timestamptz '2026-11-01' + n * interval '1 second', 0, 0, '2026-11-01', 0,
			n = 7, n <> 8, false, case n when 9 then 'overage' else 'included' end, case n when 10 then 'secondary' else 'primary' end
		from generate_series(1, 20000) as n`, subscription); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "analyze usage.checks"); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for index, c := range map[string]struct {
		filter  projections.CheckFilter
		ordinal int64
	}{
		"checks_fake":      {projections.CheckFilter{FakeFace: &yes}, 7},
		"checks_invalid":   {projections.CheckFilter{ValidFace: &no}, 8},
		"checks_overage":   {projections.CheckFilter{Billing: domain.BillingOverage}, 9},
		"checks_secondary": {projections.CheckFilter{KeySlot: domain.SlotSecondary}, 10},
	} {
		found, err := projections.NewUsage(pool).Checks(t.Context(), subscription, c.filter, projections.CheckCursor{}, 50)
		if err != nil || len(found) != 1 || found[0].Ordinal != c.ordinal {
			t.Errorf("%s: found %+v, %v", index, found, err)
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			query, args := projections.ChecksQuery(subscription, c.filter, projections.CheckCursor{}, 50)
			if plan := explain(t, pool.Config().ConnConfig, mode, query, args); !strings.Contains(plan, index) || strings.Contains(plan, "Rows Removed") {
				t.Errorf("%s, %s:\n%s", index, mode, plan)
			}
		}
	}
}

// explain returns how Postgres goes about a query.
func explain(t *testing.T, config *pgx.ConnConfig, mode, query string, args []any) string {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, statement := range []string{"set plan_cache_mode = " + mode, "prepare checks (uuid, date, bigint, bigint) as " + query} {
		if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	execute := fmt.Sprintf("explain (analyze, costs off, timing off, summary off) execute checks ('%s', '%s', %d, %d)",
		args[0], args[1].(time.Time).Format(time.DateOnly), args[2], args[3])
	rows, _ := conn.Query(t.Context(), execute, pgx.QueryExecModeSimpleProtocol)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// Tables of an older program of the same version get an index that was added since, and keep what is in them.
func TestIndexesAreAddedToOlderTables(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	p := projections.UsageProjection()
	older := p
	older.Indexes = nil
	if err := engine.Prepare(t.Context(), pool, older); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "insert into usage.days values (gen_random_uuid(), '2026-11-01', 1, 2, 3)"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := engine.Prepare(t.Context(), pool, p); err != nil {
			t.Fatal(err)
		}
	}
	var indexes, days int
	if err := pool.QueryRow(t.Context(), `
		select (select count(*) from pg_indexes where schemaname = 'usage' and indexname = any($1)), (select count(*) from usage.days)`,
		[]string{"checks_fake", "checks_invalid", "checks_overage", "checks_secondary"}).Scan(&indexes, &days); err != nil || indexes != 4 || days != 1 {
		t.Errorf("%d indexes, %d days, %v", indexes, days, err)
	}
}
