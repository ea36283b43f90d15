package metering_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

const (
	prepared  = "UsageRecordPrepared"
	attempted = "UsageRecordAttempted"
	deferred  = "UsageRecordDeferred"
	accepted  = "UsageRecordAccepted"
	rejected  = "UsageRecordRejected"
	carried   = "UsageCarriedOver"
	locked    = "UsageRecordQuarantined"
)

func TestConfigIsComplete(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*metering.Config){
		"store": func(c *metering.Config) { c.Store = nil }, "clock": func(c *metering.Config) { c.Now = nil },
		"barrier": func(c *metering.Config) { c.Barrier = nil }, "catalogue": func(c *metering.Config) { c.Catalogue = domain.Catalogue{} },
		"log": func(c *metering.Config) { c.Log = nil }, "model": func(c *metering.Config) { c.Model = nil },
		"meter": func(c *metering.Config) { c.Meter = nil }, "Region": func(c *metering.Config) { c.Region = "" },
	} {
		config := newFixture(t).config
		change(&config)
		if _, err := metering.NewProcessManager(config); err == nil {
			t.Errorf("without a %s metering starts", name)
		}
	}
}

func TestUsageReachesAWS(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(3)
	next := f.step(f.manager())
	f.wants(id, prepared, attempted, accepted)
	want := metering.UsageReport{Identity: f.usageRecord(id).Identity(), Dimension: "starter_over", Quantity: 3, Timestamp: hour}
	if len(f.calls) != 1 || len(f.calls[0]) != 1 || f.calls[0][0] != want {
		t.Errorf("AWS is told %+v, want %+v", f.calls, want)
	}
	if r := f.usageRecord(id); r.Quantity != 3 || r.Region != "us-east-1" || r.LicenseARN == "" || r.CustomerIdentifier != "" {
		t.Errorf("record %+v", r)
	}
	if !next.Equal(hour.Add(2*time.Hour + 15*time.Second)) {
		t.Errorf("the next step is due at %s", next)
	}
	if f.alerts.Count() != 0 {
		t.Errorf("a person is told: %s", f.alerts)
	}
	f.step(f.manager())
	f.wants(id, prepared, attempted, accepted)
}

// Of nodes that send the same record at the same time one does.
// A worker whose clock is a day ahead does nothing that is final, and goes on when it is put right.
func TestClockThatIsAheadSealsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(3)
	right := f.clock.Now()
	f.config.OtherClock = func(context.Context) (time.Time, error) { return right, nil }
	m := f.manager()
	f.clock.Set(right.Add(24 * time.Hour))
	if _, err := m.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "24h0m0s ahead of Postgres'") {
		t.Errorf("it goes by its clock: %v", err)
	}
	if _, sealed, err := f.log.ReadLast(t.Context(), domain.SealedHoursStream(domain.MonthOf(right))); err != nil || sealed || len(f.calls) != 0 {
		t.Errorf("sealed: %t, told to AWS: %v, %v", sealed, f.calls, err)
	}
	f.clock.Set(right.Add(30 * time.Second))
	f.step(m)
	f.wants(id, prepared, attempted, accepted)
}

func TestOneNodeSends(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(1)
	if err := f.manager().PrepareUsageRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
	raced := false
	f.config.Store = &commandstest.HookedStore{EventStore: f.log, BeforeAppend: func(stream string) {
		if raced || stream != key(id).Stream() {
			return
		}
		raced = true
		config := f.config
		config.Store = f.log
		manager, err := metering.NewProcessManager(config)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := manager.SendUsageRecords(context.Background()); err != nil {
			t.Error(err)
		}
	}}
	if _, err := f.manager().SendUsageRecords(t.Context()); err != nil {
		t.Error(err)
	}
	f.wants(id, prepared, attempted, accepted)
	if got := f.sizes(); !slices.Equal(got, []int{1}) {
		t.Errorf("the calls have %v records", got)
	}
}

// turns is a lease that is always held.
type turns struct{}

func (turns) Hold(ctx context.Context, work func(ctx context.Context) error) error { return work(ctx) }

// The process manager looks when it is told to, when something is due, when a subscription has ended, and now and then.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(hour.Add(time.Hour + time.Minute))) //nolint:forbidigo // the bubble's time
		f := newFixture(t)
		f.config.Now = time.Now
		f.log = memorystore.New(time.Now)
		f.config.Store = f.log
		var steps atomic.Int64
		f.config.Model = counted{f, &steps}
		f.config.Log = slog.New(slog.DiscardHandler)
		m := f.manager()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx, turns{}, time.Minute) }()
		wait := func(d time.Duration, want int64, why string) {
			t.Helper()
			time.Sleep(d) //nolint:forbidigo // the bubble's time
			synctest.Wait()
			if got := steps.Load(); got != want {
				t.Errorf("%s: %d steps, want %d", why, got, want)
			}
		}
		wait(0, 1, "at once")
		wait(59*time.Second, 1, "nothing to do")
		wait(time.Second, 2, "after a minute")
		m.Wake()
		wait(0, 3, "woken")
		f.clock.Set(time.Now())
		id := f.subscription(0)
		f.end(id)
		wait(time.Second, 4, "a subscription has ended")
		wait(2*time.Second, 5, "its usage can be sealed")
		if got := commandstest.Types(t, f.log, domain.UsageEndStream(id)); len(got) != 1 {
			t.Errorf("the end of usage: %v", got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// counted counts steps: each asks for late records once.
type counted struct {
	metering.ReadModel
	steps *atomic.Int64
}

func (c counted) Late(ctx context.Context, deadline time.Time, limit int) ([]domain.UsageRecordKey, error) {
	c.steps.Add(1)
	return c.ReadModel.Late(ctx, deadline, limit)
}

// A step that fails is told of and tried again when the next one would be; what is due at once does not keep a processor busy.
func TestRunDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_ = commands.Sleep(t.Context(), time.Until(hour.Add(time.Hour+time.Minute))) // the bubble's time
		f := newFixture(t)
		f.config.Now = time.Now
		f.log = memorystore.New(time.Now)
		f.config.Store = f.log
		var steps atomic.Int64
		model := &overdue{counted: counted{f, &steps}}
		f.config.Model = model
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.manager().Run(ctx, turns{}, time.Minute) }()
		wait := func(d time.Duration, wantSteps int64, wantAlerts int) {
			t.Helper()
			_ = commands.Sleep(t.Context(), d)
			synctest.Wait()
			if got := steps.Load(); got != wantSteps || f.alerts.Count() != wantAlerts {
				t.Errorf("%d steps, want %d; a person is told %d times, want %d", got, wantSteps, f.alerts.Count(), wantAlerts)
			}
		}
		wait(time.Minute, 2, 0)
		model.due.Store(true)
		wait(time.Minute, 3, 0)
		wait(time.Second, 13, 0)
		model.broken.Store(true)
		wait(100*time.Millisecond, 14, 1)
		wait(time.Minute-1, 14, 1)
		wait(1, 15, 2)
		stop()
		if err := <-done; err != nil || f.alerts.Count() != 2 {
			t.Errorf("%v; a person is told: %s", err, f.alerts)
		}
	})
}

// overdue is a read model that always has something due, or cannot be asked.
type overdue struct {
	counted
	due, broken atomic.Bool
}

func (o *overdue) NextDue(ctx context.Context, region string) (time.Time, error) {
	switch {
	case o.broken.Load():
		return time.Time{}, errBroken
	case o.due.Load():
		return time.Now().Add(-time.Second), nil
	}
	return o.counted.NextDue(ctx, region)
}

// A subscription that was reinstated before its usage was sealed goes on; when it ends again, that end is sealed too.
func TestReinstatedUsageIsNotSealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(0)
	f.end(id)
	reinstated := domain.SubscriptionReinstated{SubscriptionID: id, Why: "why"}
	ended := domain.SubscriptionEnded{SubscriptionID: id, EndedAt: f.clock.Now()}
	seal := func(want int) {
		t.Helper()
		f.clock.Set(f.clock.Now().Add(time.Minute))
		if _, err := f.manager().SealEndedUsage(t.Context()); err != nil {
			t.Error(err)
		}
		if got := commandstest.Types(t, f.log, domain.UsageEndStream(id)); len(got) != want {
			t.Errorf("sealed %d times, want %d", len(got), want)
		}
	}
	f.record(domain.SubscriptionStream(id), reinstated)
	seal(0) // the read model does not know of it yet
	f.record(domain.SubscriptionStream(id), ended)
	seal(1)
	seal(1)
}
