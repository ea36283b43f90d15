package projections_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// applyAll applies events to a read model in one transaction, as the engine does, without a checkpoint.
func applyAll(tb testing.TB, pool *pgxpool.Pool, p engine.Projection, events []domain.Recorded) {
	tb.Helper()
	followed := map[string]bool{}
	for _, t := range p.Events {
		followed[t] = true
	}
	var batch []domain.Recorded
	for _, e := range events {
		if followed[e.Event.EventType()] {
			batch = append(batch, e)
		}
	}
	if len(batch) == 0 {
		return
	}
	err := pgx.BeginFunc(tb.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(tb.Context(), "select set_config('search_path', $1, true)", p.Name); err != nil {
			return err
		}
		return p.Apply(tb.Context(), tx, batch)
	})
	if err != nil {
		tb.Fatalf("apply to %s: %v", p.Name, err)
	}
}

// dump returns every row of a read model.
func dump(tb testing.TB, pool *pgxpool.Pool, schema string) map[string][]string {
	tb.Helper()
	rows, _ := pool.Query(tb.Context(), "select table_name::text from information_schema.tables where table_schema = $1", schema)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		tb.Fatalf("tables of %s: %v, %v", schema, tables, err)
	}
	content := map[string][]string{}
	for _, table := range tables {
		rows, _ := pool.Query(tb.Context(), "select t::text from "+pgx.Identifier{schema, table}.Sanitize()+" t order by 1")
		if content[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			tb.Fatal(err)
		}
	}
	return content
}

// TestReplayChangesNothing: events that are applied again, all of them or any tail of them, leave every read model as it was.
func TestReplayChangesNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, _ := projectionstest.Life(t)
	for _, p := range projections.All() {
		t.Run(p.Name, func(t *testing.T) {
			if err := engine.Prepare(t.Context(), pool, p); err != nil {
				t.Fatal(err)
			}
			events := log.All()
			applyAll(t, pool, p, events)
			once := dump(t, pool, p.Name)
			for table, rows := range once {
				if len(rows) == 0 {
					t.Errorf("%s is empty: the test says nothing about it", table)
				}
			}
			for _, begin := range []int{0, 1, len(events) / 2, len(events) - 3} {
				applyAll(t, pool, p, events[begin:])
				if diff := cmp.Diff(once, dump(t, pool, p.Name)); diff != "" {
					t.Errorf("replay from event %d changed rows: %s", begin, diff)
				}
			}
		})
	}
}

// TestBatchesDoNotMatter: how the log is cut into batches leaves no trace.
func TestBatchesDoNotMatter(t *testing.T) {
	t.Parallel()
	log, _ := projectionstest.Life(t)
	var want map[string]map[string][]string
	for _, size := range []int{1 << 20, 7} {
		pool := pgtest.Pool(t)
		got := map[string]map[string][]string{}
		for _, p := range projections.All() {
			if err := engine.Prepare(t.Context(), pool, p); err != nil {
				t.Fatal(err)
			}
			for events := log.All(); len(events) > 0; {
				n := min(size, len(events))
				applyAll(t, pool, p, events[:n])
				events = events[n:]
			}
			got[p.Name] = dump(t, pool, p.Name)
		}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("batches of %d give other rows: %s", size, diff)
		}
	}
}

// TestUsageStopsAtAGap: a log in which a call is missing is not counted past it.
func TestUsageStopsAtAGap(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 20)...)
	c.Check(memorylog.Epoch) // never reaches the log
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 20)...)
	e := projectionstest.NewEngine(t, pool, log, projections.UsageProjection())
	projectionstest.Run(t, e)
	projectionstest.Eventually(t, "stopping", func() bool { return projectionstest.Status(t, e, "usage").State == engine.StateStopped })
	month, err := projections.NewUsage(pool).Month(t.Context(), c.Subscription, domain.MonthOf(memorylog.Epoch))
	if err != nil || month.Counted() != 20 {
		t.Errorf("counted = %d, %v", month.Counted(), err)
	}
}

// TestEventsAreRegistered: a misspelt type would be followed for ever in vain.
func TestEventsAreRegistered(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range domain.NewRegistry().Schemas() {
		known[s.Type] = true
	}
	for _, p := range projections.All() {
		for _, e := range p.Events {
			if !known[e] {
				t.Errorf("%s follows %s, which is not registered", p.Name, e)
			}
		}
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := projectionstest.Life(t)
	p := projections.APIKeysProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	keys := projections.NewAPIKeys(pool)
	if _, by, err := keys.FindKey(t.Context(), []string{"a"}); by != "" || err != nil {
		t.Fatalf("a key before any was issued: %q, %v", by, err)
	}
	applyAll(t, pool, p, log.All())
	for hash, want := range map[string]counting.KeyOwner{
		"a": {}, "c": {}, "nonsense": {},
		"b": {CustomerID: c.ID, SubscriptionID: c.Subscription, Slot: domain.SlotSecondary},
		"d": {CustomerID: c.ID, SubscriptionID: c.Subscription, Slot: domain.SlotPrimary},
	} {
		got, by, err := keys.FindKey(t.Context(), []string{"another", hash})
		if err != nil || got != want || (by == hash) != (want != counting.KeyOwner{}) {
			t.Errorf("FindKey(%s) = %v, %q, %v; want %v", hash, got, by, err, want)
		}
	}
	listed, err := keys.KeysOf(t.Context(), c.ID)
	want := []projections.APIKey{
		{Slot: domain.SlotPrimary, Prefix: "lc_d", IssuedAt: memorylog.Epoch.Add(time.Hour)},
		{Slot: domain.SlotSecondary, Prefix: "lc_b", IssuedAt: memorylog.Epoch},
	}
	if diff := cmp.Diff(want, listed); diff != "" || err != nil {
		t.Errorf("KeysOf: %v %s", err, diff)
	}
}

func TestUsageQueries(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	october, november := domain.Month{Year: 2026, Month: time.October}, domain.Month{Year: 2026, Month: time.November}
	log.Append(c.UsageStream(october.Start()), c.Checks(october.Start().Add(time.Hour), 4)...)
	// The month's first call was judged in the last instant of October and counted in November.
	late := c.Check(november.Start())
	late.CompletedAt = november.Start().Add(-time.Millisecond)
	log.Append(c.UsageStream(november.Start()), late)
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, projectionstest.PlanLimit+1)...)
	p := projections.UsageProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	applyAll(t, pool, p, log.All())
	usage, ctx := projections.NewUsage(pool), t.Context()

	months, err := usage.Months(ctx, c.Subscription)
	want := []projections.MonthlyUsage{
		{Month: november, Included: projectionstest.PlanLimit, Overage: 2, Plan: domain.PlanStarter, Limit: projectionstest.PlanLimit, LastAt: memorylog.Epoch.Add(projectionstest.PlanLimit * time.Second)},
		{Month: october, Included: 4, Plan: domain.PlanStarter, Limit: projectionstest.PlanLimit, LastAt: october.Start().Add(time.Hour + 3*time.Second)},
	}
	if diff := cmp.Diff(want, months); diff != "" || err != nil {
		t.Errorf("Months: %v %s", err, diff)
	}
	if month, err := usage.Month(ctx, c.Subscription, november); err != nil || month != want[0] {
		t.Errorf("Month = %v, %v", month, err)
	}
	if month, err := usage.Month(ctx, c.Subscription, november.Next()); err != nil || month.Counted() != 0 || month.Month != november.Next() {
		t.Errorf("Month without calls = %v, %v", month, err)
	}

	days, err := usage.Days(ctx, c.Subscription, november)
	if err != nil || len(days) != 30 || !days[0].Day.Equal(november.Start()) || !days[29].Day.Equal(november.End().AddDate(0, 0, -1)) {
		t.Fatalf("Days = %v, %v", days, err)
	}
	var sum int64
	for _, d := range days {
		sum += d.Included + d.Overage
	}
	if sum != want[0].Counted() || days[0].Included != 1 || days[2].Overage != 2 {
		t.Errorf("days add up to %d and are %v", sum, days)
	}

	var hours, included, overage int64 // by the store's clock everything came within one hour
	err = pool.QueryRow(ctx, "select count(*), sum(included), sum(overage) from usage.hours where subscription_id = $1 and hour = $2",
		c.Subscription, memorylog.Epoch).Scan(&hours, &included, &overage)
	if err != nil || hours != 1 || included != 4+projectionstest.PlanLimit || overage != 2 {
		t.Errorf("%d hours hold %d and %d, %v", hours, included, overage, err)
	}
	testFindCheck(ctx, t, usage, c, november)
	testPaging(ctx, t, usage, c)
}

func testFindCheck(ctx context.Context, t *testing.T, usage *projections.Usage, c *projectionstest.Customer, month domain.Month) {
	t.Helper()
	id := func(n int) uuid.UUID { return uuid.NewSHA1(c.Subscription, fmt.Append(nil, month, n)) }
	counted := c.Counted[month]
	for n, wantFound := range map[int]bool{3: true, 999: true, 4: false, 5000: false} {
		ordinal, found, indexed, err := usage.FindCheck(ctx, c.Subscription, month, id(n))
		if err != nil || found != wantFound || indexed != counted || found && ordinal != int64(n) {
			t.Errorf("FindCheck(%d) = %d, %v, %d, %v", n, ordinal, found, indexed, err)
		}
	}
	if _, found, indexed, err := usage.FindCheck(ctx, c.Subscription, month.Next(), id(3)); found || indexed != 0 || err != nil {
		t.Errorf("FindCheck in a month without calls = %v, %d, %v", found, indexed, err)
	}
	if _, found, indexed, err := usage.FindCheck(ctx, uuid.New(), month, id(3)); found || indexed != 0 || err != nil {
		t.Errorf("FindCheck of another subscription = %v, %d, %v", found, indexed, err)
	}
}

// placeOf is the place of a call in the list.
func placeOf(c projections.CountedCheck) projections.CheckCursor {
	return projections.CheckCursor{Month: c.Month, Ordinal: c.Ordinal}
}

func testPaging(ctx context.Context, t *testing.T, usage *projections.Usage, c *projectionstest.Customer) {
	t.Helper()
	var all []projections.CountedCheck
	for cursor := (projections.CheckCursor{}); ; {
		page, err := usage.Checks(ctx, c.Subscription, projections.CheckFilter{}, cursor, 300)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		cursor = placeOf(page[len(page)-1])
	}
	if len(all) != projectionstest.PlanLimit+6 {
		t.Fatalf("paging gives %d calls", len(all))
	}
	for n := 1; n < len(all); n++ {
		if all[n-1].Ordinal-1 != all[n].Ordinal && all[n-1].Ordinal != 1 {
			t.Fatalf("call %d is followed by %d", all[n-1].Ordinal, all[n].Ordinal)
		}
	}
	if newest := all[0]; newest.Billing != domain.BillingOverage || newest.LatencyMS != 80 || newest.Brightness != 120.5 || newest.KeySlot != domain.SlotPrimary {
		t.Errorf("newest call = %+v", newest)
	}
}
