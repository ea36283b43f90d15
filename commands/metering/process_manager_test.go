package metering_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

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
	if f.alerts.count() != 0 {
		t.Errorf("a person is told: %s", f.alerts.text.String())
	}
	f.step(f.manager())
	f.wants(id, prepared, attempted, accepted)
}

// An hour is sealed once, and not before its end and some grace.
func TestHoursAreSealedAfterTheirEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.manager()
	stream := domain.SealedHoursStream(domain.MonthOf(hour))
	for _, c := range []struct {
		at   time.Duration // after the hour
		want int
	}{
		{time.Hour + 15*time.Second - 1, 1}, // the hour before
		{time.Hour + 15*time.Second, 2}, {2*time.Hour + 15*time.Second - 1, 2}, {2*time.Hour + 15*time.Second, 3}, {5*time.Hour + time.Minute, 6},
	} {
		f.clock.Set(hour.Add(c.at))
		for range 2 {
			if err := m.SealHours(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.manager().SealHours(t.Context()); err != nil { // another node
			t.Fatal(err)
		}
		if got := commandstest.Types(t, f.log, stream); len(got) != c.want {
			t.Errorf("%s after its begin, %d hours are sealed, want %d", c.at, len(got), c.want)
		}
	}
	reads := 0
	f.config.Store = &commandstest.HookedStore{EventStore: f.log, BeforeReadLast: func(string) { reads++ }, BeforeRead: func(string) { reads++ }}
	m = f.manager()
	for range 2 {
		if err := m.SealHours(t.Context()); err != nil {
			t.Fatal(err)
		}
		if reads == 0 || reads > 2 {
			t.Errorf("the log is read %d times", reads)
		}
	}
	f.clock.Set(hour.Add(6*time.Hour + 15*time.Second - 1))
	if err := m.SealHours(t.Context()); err != nil || reads > 2 {
		t.Errorf("before the hour is over the log is read %d times, %v", reads, err)
	}
	f.clock.Set(time.Date(2026, 12, 1, 2, 1, 0, 0, time.UTC))
	if err := f.manager().SealHours(t.Context()); err != nil {
		t.Fatal(err)
	}
	december := commandstest.Types(t, f.log, domain.SealedHoursStream(domain.Month{Year: 2026, Month: time.December}))
	november, err := commands.Read[domain.SealedHours](t.Context(), f.log, stream)
	if err != nil || len(december) != 2 || !november.Last.Equal(time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("november is sealed up to %s, december has %d hours; %v", november.Last, len(december), err)
	}
}

// The first hour ever sealed is the one before, also when that was another month's.
func TestFirstSealedHour(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.Set(time.Date(2026, 12, 1, 0, 1, 0, 0, time.UTC))
	if err := f.manager().SealHours(t.Context()); err != nil {
		t.Fatal(err)
	}
	november, err := commands.Read[domain.SealedHours](t.Context(), f.log, domain.SealedHoursStream(domain.MonthOf(hour)))
	if err != nil || !november.Last.Equal(time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("sealed up to %s, %v", november.Last, err)
	}
}

// After more than a year without metering the newest hour alone is sealed.
func TestSealingBeginsAnewAfterALongTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away time.Time
		want bool // the hours in between are sealed one by one
	}{
		"twelve months": {time.Date(2027, 11, 2, 0, 1, 0, 0, time.UTC), true}, "thirteen months": {time.Date(2027, 12, 2, 0, 1, 0, 0, time.UTC), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			for range 2 {
				if err := f.manager().SealHours(t.Context()); err != nil {
					t.Fatal(err)
				}
				f.clock.Set(c.away)
			}
			january := commandstest.Types(t, f.log, domain.SealedHoursStream(domain.Month{Year: 2027, Month: time.January}))
			if (len(january) > 0) != c.want {
				t.Errorf("%d hours of the time without metering are sealed", len(january))
			}
		})
	}
}

// Usage that has ended is sealed two seconds after, for calls under way, and at once then.
func TestEndedUsageIsSealedEarly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.Set(hour.Add(20 * time.Minute))
	ended := f.clock.Now()
	id := f.subscription(0)
	f.end(id)
	m := f.manager()
	for _, c := range []struct {
		after  time.Duration
		sealed int
	}{{0, 0}, {2*time.Second - 1, 0}, {2 * time.Second, 1}, {time.Minute, 1}} {
		f.clock.Set(ended.Add(c.after))
		next, err := m.SealEndedUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := ended.Add(2 * time.Second); c.sealed == 0 && !next.Equal(want) || c.sealed > 0 && !next.IsZero() {
			t.Errorf("%s after the end: the next is due at %s", c.after, next)
		}
		if got := commandstest.Types(t, f.log, domain.UsageEndStream(id)); len(got) != c.sealed {
			t.Errorf("%s after the end: %v", c.after, got)
		}
	}
	f.clock.Set(ended)
	if next := f.step(f.manager()); !next.Equal(hour.Add(time.Hour + 15*time.Second)) {
		t.Errorf("with everything sealed, the next step is due at %s", next)
	}
}

// A line that is not known to be good is tried with one record; then all go, 25 to a call.
func TestCallsAreFull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 60 {
		f.subscription(1)
	}
	f.step(f.manager())
	if got := f.sizes(); !slices.Equal(got, []int{1, 25, 25, 9}) {
		t.Errorf("the calls have %v records", got)
	}
}

// Records of different products, or that name their buyers in different ways, are sent apart.
func TestCallsHaveOneProduct(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 2 {
		f.step(f.manager()) // closes nothing, opens nothing
	}
	first := f.subscription(1)
	legacy := f.subscription(2)
	m := f.manager()
	f.usage = f.usage[:1]
	if err := m.PrepareUsageRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.usage = append(f.usage, domain.SealedUsage{SubscriptionID: legacy, Hour: hour, Plan: domain.PlanStarter, Counted: 2})
	f.config.Legacy = true
	if err := f.manager().PrepareUsageRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := f.usageRecord(legacy); r.CustomerIdentifier == "" || r.LicenseARN != "" {
		t.Errorf("a legacy listing names the buyer %+v", r.Identity())
	}
	probe := f.subscription(3)
	f.usage[0], f.usage[2] = f.usage[2], f.usage[0]
	f.step(m)
	if got := f.sizes(); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("the calls have %v records", got)
	}
	for _, id := range []uuid.UUID{first, legacy, probe} {
		f.wants(id, prepared, attempted, accepted)
	}
}

// A record that AWS refuses is found by halving, and holds no other.
func TestBadRecordIsFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bad := f.subscription(99)
	var good []uuid.UUID
	for range 6 {
		good = append(good, f.subscription(1))
	}
	f.usage = append(f.usage[1:], f.usage[0]) // a good one goes first, alone
	f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
		if slices.ContainsFunc(reports, func(r metering.UsageReport) bool { return r.Quantity == 99 }) {
			return all(reports, domain.MeteringDimensionRefused)
		}
		return all(reports, domain.MeteringSuccess)
	}
	f.step(f.manager())
	if got := f.usageRecord(bad).Status; got != domain.RecordQuarantined {
		t.Errorf("the bad record is %q", got)
	}
	for _, id := range good {
		if got := f.usageRecord(id).Status; got != domain.RecordAccepted {
			t.Errorf("a good record is %q", got)
		}
	}
	if got := f.sizes(); !slices.Equal(got, []int{1, 6, 3, 3, 1, 2, 1, 1}) {
		t.Errorf("the calls have %v records", got)
	}
	if f.alerts.count() != 1 {
		t.Errorf("a person is told: %s", f.alerts.text.String())
	}
}

// While AWS does not answer, one record at a time is risked, the same one again first, with growing pauses.
func TestOutageLeavesOneRecordInDoubt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 5 {
		f.subscription(1)
	}
	f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
		return all(reports, domain.MeteringUnknown)
	}
	m := f.manager()
	next := f.step(m)
	began := f.clock.Now()
	if pause := next.Sub(began); pause < 750*time.Millisecond || pause > 1250*time.Millisecond {
		t.Errorf("the next call is due after %s", pause)
	}
	f.step(m)
	if got := f.sizes(); !slices.Equal(got, []int{1}) {
		t.Errorf("before that the calls had %v records", got)
	}
	f.clock.Set(next)
	next = f.step(m)
	if pause := next.Sub(f.clock.Now()); pause < 1500*time.Millisecond || pause > 2500*time.Millisecond {
		t.Errorf("the third call is due after %s", pause)
	}
	doubt := 0
	for _, u := range f.usage {
		if f.usageRecord(u.SubscriptionID).Unanswered > 0 {
			doubt++
		}
	}
	if got := f.sizes(); !slices.Equal(got, []int{1, 1}) || doubt != 1 {
		t.Errorf("after calls of %v records, %d are in doubt", got, doubt)
	}
	f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
		return all(reports, domain.MeteringSuccess)
	}
	f.clock.Set(next)
	f.step(m)
	if got := f.sizes(); !slices.Equal(got, []int{1, 1, 1, 4}) {
		t.Errorf("when AWS is back the calls have %v records", got)
	}
}

// Without permission nothing is sent for minutes, and a person is told once per try.
func TestRefusedAccessPausesMetering(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(1)
	f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
		return all(reports, domain.MeteringAccessRefused)
	}
	next := f.step(f.manager())
	f.wants(id, prepared, attempted, deferred)
	if pause := next.Sub(f.clock.Now()); pause < 225*time.Second || pause > 375*time.Second {
		t.Errorf("the next call is due after %s", pause)
	}
	if f.alerts.count() != 1 {
		t.Errorf("a person is told: %s", f.alerts.text.String())
	}
}

// What AWS takes no more is decided on, whether AWS can be reached or not.
func TestLateRecordsAreClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first domain.MeteringOutcome // of the attempt in time
		late  time.Duration          // after the deadline
		ended bool
		want  []string
		alert int
	}{
		"carried":                  {domain.MeteringThrottled, 0, false, []string{prepared, attempted, deferred, carried}, 0},
		"carried in good time":     {domain.MeteringThrottled, -5 * time.Minute, false, []string{prepared, attempted, deferred, carried}, 0},
		"not carried before":       {domain.MeteringThrottled, -5*time.Minute - 1, false, []string{prepared, attempted, deferred, attempted, deferred}, 0},
		"written off after an end": {domain.MeteringThrottled, 0, true, []string{prepared, attempted, deferred, rejected}, 1},
		"perhaps billed":           {domain.MeteringUnknown, 0, false, []string{prepared, attempted, locked}, 1},
		"perhaps billed, in time":  {domain.MeteringUnknown, -1, false, []string{prepared, attempted, attempted}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.subscription(1)
			f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome { return all(reports, c.first) }
			f.step(f.manager())
			if c.ended {
				f.end(id)
			}
			f.clock.Set(f.usageRecord(id).Deadline.Add(c.late))
			f.step(f.manager())
			f.wants(id, c.want...)
			if f.alerts.count() != c.alert {
				t.Errorf("a person is told: %s", f.alerts.text.String())
			}
		})
	}
}

// AWS knows no agreement: the answer depends on ours, and AWS is asked again about an active one.
func TestBuyerWithoutAgreement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ended  bool
		reread int
		want   []string
	}{"active here": {false, 1, []string{prepared, attempted, deferred}}, "ended here": {true, 0, []string{prepared, attempted, rejected}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.subscription(1)
			if c.ended {
				f.end(id)
			}
			reread := 0
			f.config.Reread = func(_ context.Context, subscription uuid.UUID) error {
				if reread++; subscription != id {
					t.Errorf("%s is read again", subscription)
				}
				return errors.New("AWS is away")
			}
			f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
				return all(reports, domain.MeteringNotSubscribed)
			}
			f.step(f.manager())
			f.wants(id, c.want...)
			if reread != c.reread || f.alerts.count() != 1 {
				t.Errorf("read again %d times; a person is told: %s", reread, f.alerts.text.String())
			}
			f.config.Reread = nil
			f.clock.Advance(2 * time.Hour)
			f.step(f.manager())
		})
	}
}

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
	if f.alerts.count() < 3 {
		t.Errorf("a person is told: %s", f.alerts.text.String())
	}
}

// What was counted after the end of the agreement is written off, and a person is told.
func TestUsageAfterTheEndIsWrittenOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(4)
	f.record(domain.SubscriptionStream(id), domain.SubscriptionEnded{SubscriptionID: id, EndedAt: hour.Add(-time.Minute)})
	f.step(f.manager())
	f.wants(id, prepared, rejected)
	f.behind = true
	f.step(f.manager())
	f.wants(id, prepared, rejected)
	if f.alerts.count() != 1 || len(f.calls) > 0 {
		t.Errorf("%d calls; a person is told: %s", len(f.calls), f.alerts.text.String())
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

// Of nodes that send the same record at the same time one does.
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

// When one attempt cannot be noted no call follows, and those that are noted do not count as perhaps billed.
func TestAttemptThatCannotBeNoted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	probe, first, second := f.subscription(1), f.subscription(1), f.subscription(1)
	m := f.manager()
	if err := m.PrepareUsageRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.config.Executor.Store = brokenFor{f.log, key(second).Stream()}
	if _, err := f.manager().SendUsageRecords(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("sending gives %v", err)
	}
	f.wants(probe, prepared, attempted, accepted)
	f.wants(first, prepared, attempted, deferred)
	f.wants(second, prepared)
	if r := f.usageRecord(first); r.Unanswered != 0 || len(f.calls) != 1 {
		t.Errorf("%d attempts are unanswered after %d calls", r.Unanswered, len(f.calls))
	}
}

var errBroken = errors.New("broken")

// brokenFor is a store that takes nothing for one stream.
type brokenFor struct {
	commands.EventStore
	stream string
}

func (s brokenFor) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	if stream == s.stream {
		return commands.Appended{}, errBroken
	}
	return s.EventStore.Append(ctx, stream, expected, events)
}

// A step that cannot see its own events, or cannot read, ends with an error and sends nothing.
func TestNothingIsSentOnAnOldReadModel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscription(1)
	f.barrier.Err = errors.New("behind")
	if _, err := f.manager().Step(t.Context()); !errors.Is(err, f.barrier.Err) {
		t.Errorf("behind: %v", err)
	}
	f.barrier.Err = nil
	f.log.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	for name, run := range map[string]func(context.Context) error{
		"seal":  f.manager().SealHours,
		"late":  func(ctx context.Context) error { _, err := f.manager().SendUsageRecords(ctx); return err },
		"whole": func(ctx context.Context) error { _, err := f.manager().Step(ctx); return err },
	} {
		if name != "late" {
			if err := run(t.Context()); !errors.Is(err, commands.ErrStoreUnavailable) {
				t.Errorf("%s without a log: %v", name, err)
			}
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("%d calls", len(f.calls))
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

func TestResolveUsageRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resolution domain.Resolution
		ended      bool
		want       domain.UsageRecordStatus
		refused    error
	}{
		"billed":             {domain.ResolveBilled, false, domain.RecordAccepted, nil},
		"carry":              {domain.ResolveCarry, false, domain.RecordCarried, nil},
		"carry after an end": {domain.ResolveCarry, true, domain.RecordQuarantined, domain.ErrInvalidRequest},
		"write off":          {domain.ResolveWriteOff, true, domain.RecordRejected, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.subscription(1)
			f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
				return all(reports, domain.MeteringIdentityRefused)
			}
			f.step(f.manager())
			if c.ended {
				f.end(id)
			}
			got, err := metering.ResolveUsageRecord(t.Context(), f.config.Executor, metering.ResolveRecord{
				By: commands.NewOrigin(domain.ActorOperator), Key: key(id), Resolution: c.resolution, MeteringRecordID: "aws-1", Reason: "CloudTrail 1",
			})
			if !errors.Is(err, c.refused) || got.Status != c.want {
				t.Errorf("got %q, %v", got.Status, err)
			}
		})
	}
	f := newFixture(t)
	f.log.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	if _, err := metering.ResolveUsageRecord(t.Context(), f.config.Executor, metering.ResolveRecord{Key: key(uuid.New())}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without a log: %v", err)
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

// A page of usage that nobody can report ends the preparation.
func TestNothingToPrepare(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 1000 {
		f.usage = append(f.usage, domain.SealedUsage{SubscriptionID: uuid.New(), Hour: hour, Plan: domain.PlanStarter, Counted: 1})
	}
	if err := f.manager().PrepareUsageRecords(t.Context()); err != nil || f.asked["sealed"] != 1 {
		t.Errorf("%v after %v", err, f.asked)
	}
}

func TestRecordThatCannotBePrepared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(1)
	f.config.Store = brokenFor{f.log, key(id).Stream()}
	if err := f.manager().PrepareUsageRecords(t.Context()); !errors.Is(err, errBroken) || f.alerts.count() > 0 {
		t.Errorf("%v; a person is told: %s", err, f.alerts.text.String())
	}
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
			if got := steps.Load(); got != wantSteps || f.alerts.count() != wantAlerts {
				t.Errorf("%d steps, want %d; a person is told %d times, want %d", got, wantSteps, f.alerts.count(), wantAlerts)
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
		if err := <-done; err != nil || f.alerts.count() != 2 {
			t.Errorf("%v; a person is told: %s", err, f.alerts.text.String())
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
