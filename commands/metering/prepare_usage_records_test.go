package metering_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Usage that no configuration lets us report is left alone, is told of, and holds no other.
func TestUsageThatCannotBeReportedWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.subscription(1)
	strange := f.subscription(1)
	f.usage[1].Plan = "platinum"
	nobody := uuid.New()
	f.usage = append(f.usage, domain.SealedUsage{SubscriptionID: nobody, Hour: hour, Plan: domain.PlanStarter, Counted: 1})
	tooMuch := f.subscription(domain.MaxUsageQuantity + 1)
	f.step(f.manager())
	f.wants(good, prepared, attempted, accepted)
	for _, id := range []uuid.UUID{strange, nobody, tooMuch} {
		f.wants(id)
	}
	if f.alerts.Count() < 3 {
		t.Errorf("a person is told: %s", f.alerts)
	}
}

func TestHoursWithoutUsageAreReportedOnRequest(t *testing.T) {
	t.Parallel()
	for _, zero := range []bool{false, true} {
		f := newFixture(t)
		id := f.subscription(0)
		f.idle = []domain.SealedUsage{{SubscriptionID: id, Hour: hour, Plan: domain.PlanStarter}}
		f.config.ZeroHours = zero
		f.step(f.manager())
		want := []string{}
		if zero {
			want = []string{prepared, attempted, accepted}
		}
		f.wants(id, want...)
	}
}

// However many hours are sealed, all are prepared, page by page, and no page is read for nothing.
func TestManyHoursArePrepared(t *testing.T) {
	t.Parallel()
	for count, asked := range map[int]map[string]int{
		1: {"sealed": 1, "idle": 1}, 999: {"sealed": 1, "idle": 1}, 1000: {"sealed": 2, "idle": 1}, 1001: {"sealed": 2, "idle": 1},
	} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			for range count {
				f.subscription(1)
			}
			f.idle = []domain.SealedUsage{{SubscriptionID: f.subscription(0), Hour: hour, Plan: domain.PlanStarter}}
			f.config.ZeroHours = true
			m := f.manager()
			if err := errors.Join(m.SealHours(t.Context()), m.PrepareUsageRecords(t.Context())); err != nil {
				t.Fatal(err)
			}
			if open := len(f.open()); open != count+1 || !maps.Equal(f.asked, asked) {
				t.Errorf("%d records are prepared of %d, the read model is asked %v", open, count+1, f.asked)
			}
		})
	}
}

// What a read model goes on naming although it is prepared ends the preparation too.
func TestPreparedAlready(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 1000 {
		f.subscription(1)
	}
	f.behind = true
	if err := f.manager().PrepareUsageRecords(t.Context()); err != nil || len(f.open()) != 1000 || f.asked["sealed"] != 2 {
		t.Errorf("%v, %d are prepared, the read model is asked %v", err, len(f.open()), f.asked)
	}
}

// Pages of usage that cannot be reported keep nothing behind them from being prepared, hours without usage neither.
func TestUsageThatCannotBeReportedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stuck := uuid.New()
	for before := range 2000 {
		f.usage = append(f.usage, domain.SealedUsage{
			SubscriptionID: stuck, Hour: hour.Add(-time.Duration(before+1) * time.Hour), Plan: domain.PlanStarter, Counted: 1,
		})
	}
	good, idle := f.subscription(1), f.subscription(0)
	f.idle = []domain.SealedUsage{{SubscriptionID: idle, Hour: hour, Plan: domain.PlanStarter}}
	f.config.ZeroHours = true
	m := f.manager()
	if err := errors.Join(m.SealHours(t.Context()), m.PrepareUsageRecords(t.Context())); err != nil || f.asked["sealed"] != 3 {
		t.Errorf("%v after %v", err, f.asked)
	}
	f.wants(good, prepared)
	f.wants(idle, prepared)
}

func TestRecordThatCannotBePrepared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(1)
	f.config.Store = brokenFor{f.log, key(id).Stream()}
	if err := f.manager().PrepareUsageRecords(t.Context()); !errors.Is(err, errBroken) || f.alerts.Count() > 0 {
		t.Errorf("%v; a person is told: %s", err, f.alerts)
	}
}
