package projections_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

func TestMeteringAccountsForEveryCall(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := projectionstest.Life(t)
	p := projections.MeteringProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	metering := projections.NewMetering(pool)
	for events := log.All(); len(events) > 0; events = events[1:] {
		applyAll(t, pool, p, events[:1])
		if _, ok := events[0].Event.(domain.CheckCompleted); ok && len(events) > 40 {
			continue // the sums are the same from call to call
		}
		overages, err := metering.Overages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range overages {
			if s.Difference() != 0 {
				t.Fatalf("after %s at position %d something is lost or doubled: %+v", events[0].Event.EventType(), events[0].Position, s.ReportedOverage)
			}
		}
	}
	overages, err := metering.Overages(t.Context())
	if err != nil || len(overages) != 1 {
		t.Fatal(overages, err)
	}
	// Of five calls two were credited and three carried to the end and lost there; a sixth came too late.
	want := projections.LicenceOverage{
		SubscriptionID: c.Subscription, LicenseARN: "arn:aws:license-manager::1:license:l-1", ReportedOverage: projections.ReportedOverage{Counted: 6, WrittenOff: 4, Credited: 2},
	}
	if diff := cmp.Diff(want, overages[0]); diff != "" {
		t.Error(diff)
	}
	health, err := metering.Health(t.Context())
	if err != nil || health.LateCalls != 4 || health.Rejected != 0 || health.Open != 0 {
		t.Errorf("health = %+v, %v", health, err)
	}
}

// An hour reported without usage that AWS does not take is no loss.
func TestOnlyUsageIsWrittenOff(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	p := projections.MeteringProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	log.Append(domain.SubscriptionStream(c.Subscription), c.Started())
	for hours, quantity := range []int64{0, 3, 0} {
		key := domain.NewUsageRecordKey(c.Subscription, memorylog.Epoch.Add(time.Duration(hours)*time.Hour), domain.PlanStarter, "starter_over")
		log.Append(key.Stream(), domain.UsageRecordPrepared{UsageRecordKey: key, Quantity: quantity, Counted: quantity, Region: "us-east-1"},
			domain.UsageRecordRejected{UsageRecordKey: key, Quantity: quantity})
	}
	applyAll(t, pool, p, log.All())
	if health, err := projections.NewMetering(pool).Health(t.Context()); err != nil || health.Rejected != 1 {
		t.Errorf("health = %+v, %v; want 1 rejected", health, err)
	}
}

func TestMeteringFindsWhatThereIsToDo(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	p := projections.MeteringProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	metering := projections.NewMetering(pool)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	hour := domain.UsageHour(memorylog.Epoch)
	applied := 0
	apply := func() {
		events := log.All()
		applyAll(t, pool, p, events[applied:])
		applied = len(events)
	}
	log.Append(domain.SubscriptionStream(c.Subscription), c.Started())
	log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, projectionstest.PlanLimit+3)...)
	apply()
	if open, err := metering.Sealed(t.Context(), domain.SealedUsage{}, 10); err != nil || len(open) > 0 {
		t.Errorf("a running hour is ready: %+v, %v", open, err)
	}
	// Who seals nothing is found out all the same: the hour is long over.
	if health, err := metering.Health(t.Context()); err != nil || health.Open != 1 || !health.OldestOpen.Equal(hour) {
		t.Errorf("health = %+v, %v; want the hour that nobody seals", health, err)
	}
	log.Append(domain.SealedHoursStream(domain.MonthOf(hour)), domain.HourSealed{Hour: hour, SealedAt: hour.Add(time.Hour)})
	// Committed behind the seal under an older time: it counts for the next hour.
	log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	apply()
	sealed, err := metering.Sealed(t.Context(), domain.SealedUsage{}, 10)
	if diff := cmp.Diff([]domain.SealedUsage{{SubscriptionID: c.Subscription, Hour: hour, Plan: domain.PlanStarter, Counted: 3}}, sealed); diff != "" || err != nil {
		t.Errorf("sealed hours: %v%s", err, diff)
	}
	if behind, err := metering.Sealed(t.Context(), sealed[0], 10); err != nil || len(behind) > 0 {
		t.Errorf("an hour stands behind itself: %+v, %v", behind, err)
	}
	before := sealed[0]
	before.SubscriptionID = uuid.Nil
	if behind, err := metering.Sealed(t.Context(), before, 10); err != nil || len(behind) != 1 {
		t.Errorf("behind another subscription's hour: %+v, %v", behind, err)
	}
	if idle, err := metering.Idle(t.Context(), hour); err != nil || len(idle) > 0 {
		t.Errorf("an hour with usage is idle: %+v, %v", idle, err)
	}

	key := domain.NewUsageRecordKey(c.Subscription, hour, domain.PlanStarter, "starter_over")
	log.Append(key.Stream(), domain.UsageRecordPrepared{UsageRecordKey: key, Quantity: 3, Counted: 3, Region: "us-east-1", Deadline: hour.Add(24 * time.Hour), PreparedAt: hour.Add(time.Hour)})
	log.Append(domain.SubscriptionStream(c.Subscription), domain.SubscriptionEnded{SubscriptionID: c.Subscription, EndedAt: memorylog.Epoch})
	apply()
	now := hour.Add(2 * time.Hour)
	due := func(region string, at time.Time, probe bool) []domain.UsageRecordKey {
		t.Helper()
		keys, err := metering.Due(t.Context(), region, at, probe, 10)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	if diff := cmp.Diff([]domain.UsageRecordKey{key}, due("us-east-1", now, false)); diff != "" {
		t.Error(diff)
	}
	if other := due("eu-west-1", now, true); len(other) > 0 {
		t.Errorf("a record goes to another Region: %+v", other)
	}
	if early := due("us-east-1", hour, false); len(early) > 0 {
		t.Errorf("a record is due before it is prepared: %+v", early)
	}
	log.Append(key.Stream(), domain.UsageRecordAttempted{UsageRecordKey: key, Attempt: 1, AttemptedAt: now, RetryAt: now.Add(time.Minute)})
	apply()
	if waiting := due("us-east-1", now, false); len(waiting) > 0 {
		t.Errorf("a record is due in its pause: %+v", waiting)
	}
	if probe := due("us-east-1", now, true); len(probe) != 1 {
		t.Errorf("an unanswered record is no probe: %+v", probe)
	}
	if next, err := metering.NextDue(t.Context(), "us-east-1"); err != nil || !next.Equal(now.Add(time.Minute)) {
		t.Errorf("next due: %s, %v", next, err)
	}
	if late, err := metering.Late(t.Context(), hour.Add(24*time.Hour), 10); err != nil || len(late) != 1 {
		t.Errorf("late: %+v, %v", late, err)
	}
	ended, err := metering.Ended(t.Context())
	if err != nil || len(ended) != 1 || ended[0].ID != c.Subscription {
		t.Errorf("ended: %+v, %v", ended, err)
	}
	log.Append(domain.UsageEndStream(c.Subscription), domain.SubscriptionUsageSealed{SubscriptionID: c.Subscription, Hour: hour.Add(time.Hour), SealedAt: now})
	apply()
	sealed, err = metering.Sealed(t.Context(), domain.SealedUsage{}, 10)
	if diff := cmp.Diff([]domain.SealedUsage{{SubscriptionID: c.Subscription, Hour: hour.Add(time.Hour), Plan: domain.PlanStarter, Counted: 1}}, sealed); diff != "" || err != nil {
		t.Errorf("the open hour of an ended subscription: %v%s", err, diff)
	}
	reported, err := metering.Reported(t.Context(), c.Subscription, domain.MonthOf(hour))
	if diff := cmp.Diff(projections.ReportedOverage{Counted: 4, Pending: 4}, reported); diff != "" || err != nil {
		t.Errorf("reported: %v%s", err, diff)
	}
	windows, err := metering.Windows(t.Context(), uuid.Nil, hour, 10)
	if err != nil || len(windows) != 2 || windows[1].Attempts != 1 || windows[1].State != domain.RecordOpen {
		t.Errorf("windows: %+v, %v", windows, err)
	}
}

// What goes on after its usage was sealed counts for the first hour that is not closed for it, until it ends again.
func TestMeteringGoesOnAfterAReinstatement(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	p := projections.MeteringProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	metering := projections.NewMetering(pool)
	hour := domain.UsageHour(memorylog.Epoch)
	for name, together := range map[string]bool{"event by event": false, "in one batch": true} {
		t.Run(name, func(t *testing.T) {
			log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
			stream, end := domain.SubscriptionStream(c.Subscription), domain.UsageEndStream(c.Subscription)
			sealed := domain.SubscriptionUsageSealed{SubscriptionID: c.Subscription, Hour: hour, SealedAt: memorylog.Epoch}
			log.Append(stream, c.Started())
			log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, projectionstest.PlanLimit+3)...)
			log.Append(stream, domain.SubscriptionEnded{SubscriptionID: c.Subscription, EndedAt: memorylog.Epoch})
			log.Append(end, sealed)
			log.Append(stream, domain.SubscriptionReinstated{SubscriptionID: c.Subscription, Why: "why", ReinstatedAt: memorylog.Epoch})
			log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 2)...)
			log.Append(end, sealed) // of a worker that had not heard of it
			log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
			events := log.All()
			for len(events) > 0 {
				n := 1
				if together {
					n = len(events)
				}
				applyAll(t, pool, p, events[:n])
				applyAll(t, pool, p, events[:n]) // applied again it changes nothing
				events = events[n:]
			}
			windows, err := metering.Windows(t.Context(), c.Subscription, hour, 10)
			if err != nil || len(windows) != 2 || windows[0].Counted != 3 || windows[1].Counted != 3 || !windows[0].Hour.Equal(hour.Add(time.Hour)) {
				t.Errorf("windows: %+v, %v", windows, err)
			}
			open := func() (found bool) {
				ended, err := metering.Ended(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range ended {
					found = found || e.ID == c.Subscription
				}
				return found
			}
			if open() {
				t.Error("what goes on is to be sealed")
			}
			before := len(log.All())
			log.Append(stream, domain.SubscriptionEnded{SubscriptionID: c.Subscription, EndedAt: memorylog.Epoch})
			applyAll(t, pool, p, log.All()[before:])
			if !open() {
				t.Error("what has ended again is not to be sealed")
			}
			sealed.End = 2
			before = len(log.All())
			log.Append(end, sealed)
			log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
			applyAll(t, pool, p, log.All()[before:])
			overages, err := metering.Overages(t.Context())
			for _, o := range overages {
				if o.SubscriptionID == c.Subscription && (o.Counted != 7 || o.WrittenOff != 1 || o.Difference() != 0) {
					t.Errorf("overage: %+v", o.ReportedOverage)
				}
			}
			if open() || err != nil {
				t.Errorf("the second end is not sealed, %v", err)
			}
		})
	}
}
