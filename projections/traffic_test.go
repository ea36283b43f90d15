package projections_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// prepared gives read models their tables and shows a log in them.
func prepared(t *testing.T, log *memorylog.Log, shown ...engine.Projection) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.Pool(t)
	if err := engine.Prepare(t.Context(), pool, projections.All()...); err != nil {
		t.Fatal(err)
	}
	for _, p := range shown {
		applyAll(t, pool, p, log.All())
	}
	return pool
}

// call is the customer's next counted call with a key, that took a time.
func call(c *projectionstest.Customer, at time.Time, slot domain.KeySlot, ms int64) domain.CheckCompleted {
	event := c.Check(at)
	event.KeySlot, event.Judgement.LatencyMS = slot, ms
	return event
}

func TestTrafficByHour(t *testing.T) {
	t.Parallel()
	log, c, other := memorylog.New(), projectionstest.NewCustomer(t, 1), projectionstest.NewCustomer(t, 2)
	hour := memorylog.Epoch.UTC().Truncate(time.Hour)
	var events []domain.Event
	for n := range 100 { // 1 … 100 ms
		slot := domain.SlotPrimary
		if n%4 == 0 {
			slot = domain.SlotSecondary
		}
		events = append(events, call(c, hour.Add(time.Duration(n)*time.Second), slot, int64(n+1)))
	}
	events = append(events, call(c, hour.Add(time.Hour), domain.SlotSecondary, 5000), call(c, hour.Add(3*time.Hour), domain.SlotSecondary, 70_000))
	log.Append(c.UsageStream(hour), events...)
	log.Append(other.UsageStream(hour), call(other, hour, domain.SlotPrimary, 9))
	pool := prepared(t, log, projections.TrafficProjection())
	hours, all, err := projections.NewTraffic(pool).Hours(t.Context(), c.Subscription, hour, hour.Add(3*time.Hour))
	if err != nil || len(hours) != 2 {
		t.Fatalf("%d hours, %v", len(hours), err)
	}
	if diff := cmp.Diff(map[domain.KeySlot]int64{domain.SlotPrimary: 75, domain.SlotSecondary: 25}, hours[0].ByKey); diff != "" || !hours[0].Hour.Equal(hour) {
		t.Errorf("the first hour is %+v: %s", hours[0], diff)
	}
	near := func(got, want int64) bool { return 100*got >= 94*want && 100*got <= 106*want }
	if l := hours[0].Latency; !near(l.P50, 50) || !near(l.P95, 95) {
		t.Errorf("of 1 to 100 ms half are said to take %d and nineteen of twenty %d ms", l.P50, l.P95)
	}
	if l := hours[1].Latency; !near(l.P50, 5000) || !near(l.P95, 5000) || !near(all.P50, 51) || !near(all.P95, 96) {
		t.Errorf("one call of 5000 ms is said to take %+v, and all %+v", l, all)
	}
	fake := hours[0].Fake
	if fake != 80 { // projectionstest: eight of ten
		t.Errorf("%d are fake", fake)
	}
	if hours, all, err := projections.NewTraffic(pool).Hours(t.Context(), uuid.New(), hour, hour.Add(time.Hour)); len(hours) != 0 || all != (projections.Latency{}) || err != nil {
		t.Errorf("nobody has %v, %v, %v", hours, all, err)
	}
}

func TestKeyUse(t *testing.T) {
	t.Parallel()
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	at := memorylog.Epoch.UTC()
	log.Append(c.UsageStream(at), call(c, at, domain.SlotPrimary, 1), call(c, at.Add(time.Minute), domain.SlotPrimary, 900), call(c, at.Add(30*time.Second), domain.SlotPrimary, 20))
	p := projections.TrafficProjection()
	pool := prepared(t, log, p)
	use, err := projections.NewTraffic(pool).KeyUse(t.Context(), c.Subscription)
	want := projections.KeyUse{LastAt: map[domain.KeySlot]time.Time{domain.SlotPrimary: at.Add(time.Minute)}}
	if diff := cmp.Diff(want, use); diff != "" || err != nil {
		t.Errorf("while the log is not read to its end: %v %s", err, diff)
	}
	projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, p))
	projectionstest.Eventually(t, "reading the log to its end", func() bool {
		use, err = projections.NewTraffic(pool).KeyUse(t.Context(), c.Subscription)
		return err != nil || use.Known
	})
	want.Known = true
	if diff := cmp.Diff(want, use); diff != "" || err != nil {
		t.Errorf("when it is: %v %s", err, diff)
	}
}

func TestFindChecks(t *testing.T) {
	t.Parallel()
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	november := domain.Month{Year: 2026, Month: time.November}
	second := november.Start().AddDate(0, 0, 1)
	first := call(c, second.Add(-time.Second), domain.SlotPrimary, 50)
	spoilt := call(c, second, domain.SlotSecondary, 50)
	spoilt.Judgement.ValidFace = false
	third := call(c, second.Add(time.Hour), domain.SlotPrimary, 50)
	// Judged in the last instant of November, and counted in December.
	late := c.Check(november.End())
	late.CompletedAt = november.End().Add(-time.Millisecond)
	late.Billing = domain.BillingOverage
	log.Append(c.UsageStream(second), first, spoilt, third)
	log.Append(c.UsageStream(november.End()), late, call(c, november.End().Add(time.Hour), domain.SlotPrimary, 50))
	events := log.All()
	for i := range events {
		events[i].Meta.CorrelationID = uuid.NewSHA1(c.Subscription, []byte{byte(i / 2)}) // a caller may give two calls one id
	}
	pool := prepared(t, log)
	for _, p := range []engine.Projection{projections.UsageProjection(), projections.TrafficProjection()} {
		applyAll(t, pool, p, events)
	}
	usage, yes, no := projections.NewUsage(pool), true, false
	for name, test := range map[string]struct {
		filter projections.CheckFilter
		want   []int64 // ordinals, newest first
	}{
		"all":                           {projections.CheckFilter{}, []int64{2, 1, 3, 2, 1}},
		"a day":                         {projections.CheckFilter{Day: second}, []int64{3, 2}},
		"a day without any":             {projections.CheckFilter{Day: second.AddDate(0, 0, 1)}, nil},
		"the last day of a month":       {projections.CheckFilter{Day: november.End().AddDate(0, 0, -1)}, []int64{1}},
		"the first day of the next one": {projections.CheckFilter{Day: november.End()}, []int64{2}},
		"judged fake":                   {projections.CheckFilter{FakeFace: &yes}, []int64{2, 3, 2}},
		"judged live":                   {projections.CheckFilter{FakeFace: &no}, []int64{1, 1}},
		"not usable":                    {projections.CheckFilter{ValidFace: &no}, []int64{2}},
		"usable":                        {projections.CheckFilter{ValidFace: &yes}, []int64{2, 1, 3, 1}},
		"by the secondary key":          {projections.CheckFilter{KeySlot: domain.SlotSecondary}, []int64{2}},
		"over the limit":                {projections.CheckFilter{Billing: domain.BillingOverage}, []int64{1}},
		"a request":                     {projections.CheckFilter{Request: events[4].Meta.CorrelationID}, []int64{2}},
		"two calls of one request id":   {projections.CheckFilter{Request: events[0].Meta.CorrelationID}, []int64{2, 1}},
		"an unknown request":            {projections.CheckFilter{Request: uuid.New()}, nil},
		"everything at once": {projections.CheckFilter{
			Day: second, FakeFace: &yes, ValidFace: &no, KeySlot: domain.SlotSecondary, Billing: domain.BillingIncluded, Request: events[1].Meta.CorrelationID,
		}, []int64{2}},
	} {
		var got []int64
		for cursor := (projections.CheckCursor{}); ; { // page by page, of one
			page, err := usage.Checks(t.Context(), c.Subscription, test.filter, cursor, 1)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(page) == 0 {
				break
			}
			got, cursor = append(got, page[0].Ordinal), placeOf(page[0])
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if list, err := usage.Checks(t.Context(), uuid.New(), projections.CheckFilter{Request: events[4].Meta.CorrelationID}, projections.CheckCursor{}, 9); len(list) != 0 || err != nil {
		t.Errorf("another customer finds %v, %v", list, err)
	}
	testMonthChecks(t, usage, c, events)
}

func testMonthChecks(t *testing.T, usage *projections.Usage, c *projectionstest.Customer, events []domain.Recorded) {
	t.Helper()
	for behind, want := range map[int64][]int64{0: {1, 2}, 2: {3}, 3: nil} {
		var got []int64
		page, err := usage.MonthChecks(t.Context(), c.Subscription, domain.Month{Year: 2026, Month: time.November}, behind, 2)
		for _, k := range page {
			got = append(got, k.Ordinal)
			if k.RequestID != events[k.Ordinal-1].Meta.CorrelationID {
				t.Errorf("call %d was made by request %s, not %s", k.Ordinal, events[k.Ordinal-1].Meta.CorrelationID, k.RequestID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("behind %d: %v %s", behind, err, diff)
		}
	}
}

// While the read model of traffic is being built, lists and exports show what the one of usage has.
func TestChecksWithoutTraffic(t *testing.T) {
	t.Parallel()
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...)
	usage := projections.NewUsage(prepared(t, log, projections.UsageProjection()))
	if list, err := usage.Checks(t.Context(), c.Subscription, projections.CheckFilter{KeySlot: domain.SlotPrimary}, projections.CheckCursor{}, 9); len(list) != 3 || err != nil {
		t.Errorf("%d are listed, %v", len(list), err)
	}
	if page, err := usage.MonthChecks(t.Context(), c.Subscription, domain.MonthOf(memorylog.Epoch), 0, 9); len(page) != 3 || page[0].RequestID != uuid.Nil || err != nil {
		t.Errorf("exported are %v, %v", page, err)
	}
}

func TestOverageByPlan(t *testing.T) {
	t.Parallel()
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	at := memorylog.Epoch
	events := c.Checks(at, projectionstest.PlanLimit+5)
	last := events[len(events)-1].(domain.CheckCompleted)
	last.Plan = domain.PlanStandard
	events[len(events)-1] = last
	log.Append(c.UsageStream(at), events...)
	usage := projections.NewUsage(prepared(t, log, projections.UsageProjection()))
	got, err := usage.OverageByPlan(t.Context(), c.Subscription, domain.MonthOf(log.All()[0].RecordedAt))
	want := map[domain.PlanID]int64{domain.PlanStarter: 4, domain.PlanStandard: 1}
	if len(got) != 2 || err != nil {
		t.Fatalf("%v, %v", got, err)
	}
	for _, plan := range got {
		if plan.Calls != want[plan.Plan] {
			t.Errorf("%s: %d, want %d", plan.Plan, plan.Calls, want[plan.Plan])
		}
	}
	if got, err := usage.OverageByPlan(t.Context(), c.Subscription, domain.Month{Year: 2025, Month: time.May}); len(got) != 0 || err != nil {
		t.Errorf("another month has %v, %v", got, err)
	}
}
