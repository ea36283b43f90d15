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

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// applyAll applies events to a read model in one transaction, as the engine does, without a checkpoint.
func applyAll(tb testing.TB, pool *pgxpool.Pool, p projections.Projection, events []domain.Recorded) {
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

// dump gives every row of a read model.
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

// life is a log in which every kind of event happens to one customer.
func life(tb testing.TB) (*testLog, *customer) {
	tb.Helper()
	log, c := newLog(), newCustomer(tb, 1)
	at := epoch
	log.append(domain.SubscriptionStream(c.subscription),
		c.started(),
		domain.AgreementLinked{SubscriptionID: c.subscription, AgreementID: "agmt-1", LinkedAt: at},
	)
	log.append(domain.AccountStream(c.id),
		domain.AccountRegistered{CustomerID: c.id, SubscriptionID: c.subscription, Person: "v1.sealed", MailHash: "hash", RegisteredAt: at},
		domain.VerificationRequested{CustomerID: c.id, VerificationID: uuid.New(), ExpiresAt: at.Add(24 * time.Hour), RequestedAt: at},
		domain.RegistrationCorrected{CustomerID: c.id, Person: "v1.corrected", MailHash: "hash", CorrectedAt: at},
		domain.EmailVerified{CustomerID: c.id, VerifiedAt: at},
		domain.PasswordSet{CustomerID: c.id, PasswordHash: "v1.secret", Cause: domain.PasswordActivation, SetAt: at},
		domain.AccountActivated{CustomerID: c.id, SubscriptionID: c.subscription, ActivatedAt: at},
	)
	log.append(domain.APIKeysStream(c.id), c.issued(domain.SlotPrimary, "a"), c.issued(domain.SlotSecondary, "b"))
	log.append(domain.LoginsStream(c.id), domain.LoginFailed{CustomerID: c.id, At: at}, domain.LoginSucceeded{CustomerID: c.id, At: at})
	log.append(c.usageStream(at), c.checks(at, planLimit+5)...)
	log.append(domain.APIKeysStream(c.id), c.regenerated(domain.SlotPrimary, "a", "c"), c.regenerated(domain.SlotPrimary, "c", "d"))
	log.append(domain.SubscriptionStream(c.subscription),
		domain.OverageSwitched{SubscriptionID: c.subscription, From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: at},
		domain.PlanChanged{SubscriptionID: c.subscription, FromPlan: domain.PlanStarter, FromLimit: planLimit, Plan: domain.PlanStandard, Limit: 5000, ChangedAt: at},
		domain.UnsubscribeRequested{SubscriptionID: c.subscription, RequestedAt: at},
		domain.SubscriptionRenewed{SubscriptionID: c.subscription, ExpiresAt: at.AddDate(1, 0, 0), RenewedAt: at},
		domain.SubscriptionEnded{SubscriptionID: c.subscription, Reason: "test", EndedAt: at},
	)
	log.append(domain.AccountStream(c.id),
		domain.PasswordResetRequested{CustomerID: c.id, ResetID: uuid.New(), ExpiresAt: at.Add(time.Hour), RequestedAt: at},
		domain.PasswordSet{CustomerID: c.id, PasswordHash: "v1.secret", Cause: domain.PasswordReset, SetAt: at},
		domain.PersonalDataErased{CustomerID: c.id, ErasedAt: at},
	)
	c.metered(log)
	return log, c
}

// metered lets everything happen to the customer's five calls beyond the plan that can happen to usage, and one more call
// come after the end.
func (c *customer) metered(log *testLog) {
	const dimension = "starter_over"
	hour := domain.UsageHour(epoch)
	record := func(n int) domain.UsageRecordKey {
		return domain.NewUsageRecordKey(c.subscription, hour.Add(time.Duration(n)*time.Hour), domain.PlanStarter, dimension)
	}
	prepared := func(k domain.UsageRecordKey, counted int64, carried ...domain.CarriedUsage) domain.UsageRecordPrepared {
		p := domain.UsageRecordPrepared{
			UsageRecordKey: k, CustomerID: c.id, Timestamp: k.Hour, Deadline: k.Hour.Add(24 * time.Hour), Quantity: counted, Counted: counted,
			Carried: carried, Region: "us-east-1", PreparedAt: k.Hour.Add(time.Hour),
		}
		for _, from := range carried {
			p.Quantity += from.Quantity
		}
		return p
	}
	attempt := func(k domain.UsageRecordKey, n int) domain.UsageRecordAttempted {
		return domain.UsageRecordAttempted{UsageRecordKey: k, Attempt: n, AttemptedAt: k.Hour, RetryAt: k.Hour.Add(time.Minute)}
	}
	first, second, third := record(0), record(1), record(2)
	log.append(domain.SealedHoursStream(domain.MonthOf(hour)), domain.HourSealed{Hour: hour, SealedAt: hour.Add(time.Hour)})
	log.append(first.Stream(), prepared(first, 5), attempt(first, 1),
		domain.UsageRecordDeferred{UsageRecordKey: first, Outcome: domain.MeteringThrottled, DeferredAt: hour, RetryAt: hour.Add(time.Hour)},
		attempt(first, 2), domain.UsageCarriedOver{UsageRecordKey: first, Quantity: 5, Reason: "late", CarriedAt: hour.Add(24 * time.Hour)})
	log.append(domain.SealedHoursStream(domain.MonthOf(hour)), domain.HourSealed{Hour: second.Hour, SealedAt: hour.Add(2 * time.Hour)})
	log.append(second.Stream(), prepared(second, 0, domain.CarriedUsage{Hour: hour, Quantity: 5}), attempt(second, 1),
		domain.UsageRecordQuarantined{UsageRecordKey: second, Outcome: domain.MeteringLicenseRefused, Quantity: 5, Reason: "refused", QuarantinedAt: hour},
		domain.UsageCarriedOver{UsageRecordKey: second, Quantity: 5, Reason: "an operator looked", CarriedAt: hour})
	log.append(domain.UsageEndStream(c.subscription), domain.SubscriptionUsageSealed{SubscriptionID: c.subscription, Hour: third.Hour, SealedAt: hour})
	log.append(third.Stream(), prepared(third, 0, domain.CarriedUsage{Hour: second.Hour, Quantity: 5}), attempt(third, 1),
		domain.UsageCarriedOver{UsageRecordKey: third, Quantity: 5, Reason: "its end was not known", CarriedAt: hour})
	log.append(c.usageStream(epoch), c.check(epoch))
	fourth := record(3)
	log.append(fourth.Stream(), prepared(fourth, 0),
		domain.UsageRecordAccepted{UsageRecordKey: fourth, MeteringRecordID: "aws-1", Outcome: domain.MeteringSuccess, AcceptedAt: hour})
	fifth := record(4)
	log.append(fifth.Stream(), prepared(fifth, 0), domain.UsageRecordRejected{UsageRecordKey: fifth, Reason: "too late", RejectedAt: hour})
}

// TestReplayChangesNothing: events that are applied again, all of them or any tail of them, leave every read model as it was.
func TestReplayChangesNothing(t *testing.T) {
	t.Parallel()
	pool := database(t)
	log, _ := life(t)
	for _, p := range projections.All() {
		t.Run(p.Name, func(t *testing.T) {
			if err := projections.Prepare(t.Context(), pool, p); err != nil {
				t.Fatal(err)
			}
			events := log.all()
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
	log, _ := life(t)
	var want map[string]map[string][]string
	for _, size := range []int{1 << 20, 7} {
		pool := database(t)
		got := map[string]map[string][]string{}
		for _, p := range projections.All() {
			if err := projections.Prepare(t.Context(), pool, p); err != nil {
				t.Fatal(err)
			}
			for events := log.all(); len(events) > 0; {
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
	pool := database(t)
	log, c := newLog(), newCustomer(t, 1)
	log.append(c.usageStream(epoch), c.checks(epoch, 20)...)
	c.check(epoch) // never reaches the log
	log.append(c.usageStream(epoch), c.checks(epoch, 20)...)
	engine := newEngine(t, pool, log, projections.UsageProjection())
	run(t, engine)
	eventually(t, "stopping", func() bool { return status(t, engine, "usage").State == projections.StateStopped })
	month, err := projections.NewUsage(pool).Month(t.Context(), c.subscription, domain.MonthOf(epoch))
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
	pool := database(t)
	log, c := life(t)
	p := projections.APIKeysProjection()
	if err := projections.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	keys := projections.NewAPIKeys(pool)
	if _, found, err := keys.FindKey(t.Context(), "a"); found || err != nil {
		t.Fatalf("a key before any was issued: %v, %v", found, err)
	}
	applyAll(t, pool, p, log.all())
	for hash, want := range map[string]commands.KeyOwner{
		"a": {}, "c": {}, "nonsense": {},
		"b": {CustomerID: c.id, SubscriptionID: c.subscription, Slot: domain.SlotSecondary},
		"d": {CustomerID: c.id, SubscriptionID: c.subscription, Slot: domain.SlotPrimary},
	} {
		got, found, err := keys.FindKey(t.Context(), hash)
		if err != nil || got != want || found != (want != commands.KeyOwner{}) {
			t.Errorf("FindKey(%s) = %v, %v, %v; want %v", hash, got, found, err, want)
		}
	}
	listed, err := keys.KeysOf(t.Context(), c.id)
	want := []projections.APIKey{
		{Slot: domain.SlotPrimary, Prefix: "lc_d", IssuedAt: epoch.Add(time.Hour)},
		{Slot: domain.SlotSecondary, Prefix: "lc_b", IssuedAt: epoch},
	}
	if diff := cmp.Diff(want, listed); diff != "" || err != nil {
		t.Errorf("KeysOf: %v %s", err, diff)
	}
}

func TestUsageQueries(t *testing.T) {
	t.Parallel()
	pool := database(t)
	log, c := newLog(), newCustomer(t, 1)
	october, november := domain.Month{Year: 2026, Month: time.October}, domain.Month{Year: 2026, Month: time.November}
	log.append(c.usageStream(october.Start()), c.checks(october.Start().Add(time.Hour), 4)...)
	// The month's first call was judged in the last instant of October and counted in November.
	late := c.check(november.Start())
	late.CompletedAt = november.Start().Add(-time.Millisecond)
	log.append(c.usageStream(november.Start()), late)
	log.append(c.usageStream(epoch), c.checks(epoch, planLimit+1)...)
	p := projections.UsageProjection()
	if err := projections.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	applyAll(t, pool, p, log.all())
	usage, ctx := projections.NewUsage(pool), t.Context()

	months, err := usage.Months(ctx, c.subscription)
	want := []projections.MonthlyUsage{
		{Month: november, Included: planLimit, Overage: 2, Plan: domain.PlanStarter, Limit: planLimit, LastAt: epoch.Add(planLimit * time.Second)},
		{Month: october, Included: 4, Plan: domain.PlanStarter, Limit: planLimit, LastAt: october.Start().Add(time.Hour + 3*time.Second)},
	}
	if diff := cmp.Diff(want, months); diff != "" || err != nil {
		t.Errorf("Months: %v %s", err, diff)
	}
	if month, err := usage.Month(ctx, c.subscription, november); err != nil || month != want[0] {
		t.Errorf("Month = %v, %v", month, err)
	}
	if month, err := usage.Month(ctx, c.subscription, november.Next()); err != nil || month.Counted() != 0 || month.Month != november.Next() {
		t.Errorf("Month without calls = %v, %v", month, err)
	}

	days, err := usage.Days(ctx, c.subscription, november)
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

	hours, err := usage.Hours(ctx, c.subscription, epoch, epoch.Add(time.Hour))
	if err != nil || len(hours) != 1 || hours[0].Included != 4+planLimit || hours[0].Overage != 2 {
		t.Errorf("Hours = %v, %v", hours, err)
	}
	testFindCheck(ctx, t, usage, c, november)
	testPaging(ctx, t, usage, c)
}

func testFindCheck(ctx context.Context, t *testing.T, usage *projections.Usage, c *customer, month domain.Month) {
	t.Helper()
	id := func(n int) uuid.UUID { return uuid.NewSHA1(c.subscription, fmt.Append(nil, month, n)) }
	counted := c.counted[month]
	for n, wantFound := range map[int]bool{3: true, 999: true, 4: false, 5000: false} {
		ordinal, found, indexed, err := usage.FindCheck(ctx, c.subscription, month, id(n))
		if err != nil || found != wantFound || indexed != counted || found && ordinal != int64(n) {
			t.Errorf("FindCheck(%d) = %d, %v, %d, %v", n, ordinal, found, indexed, err)
		}
	}
	if _, found, indexed, err := usage.FindCheck(ctx, c.subscription, month.Next(), id(3)); found || indexed != 0 || err != nil {
		t.Errorf("FindCheck in a month without calls = %v, %d, %v", found, indexed, err)
	}
	if _, found, indexed, err := usage.FindCheck(ctx, uuid.New(), month, id(3)); found || indexed != 0 || err != nil {
		t.Errorf("FindCheck of another subscription = %v, %d, %v", found, indexed, err)
	}
}

func testPaging(ctx context.Context, t *testing.T, usage *projections.Usage, c *customer) {
	t.Helper()
	var all []projections.CountedCheck
	for cursor := (projections.CheckCursor{}); ; {
		page, err := usage.Checks(ctx, c.subscription, cursor, 300)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		cursor = page[len(page)-1].Cursor()
	}
	if len(all) != planLimit+6 {
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
