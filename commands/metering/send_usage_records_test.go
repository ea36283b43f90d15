package metering_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

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
	if f.alerts.Count() != 1 {
		t.Errorf("a person is told: %s", f.alerts)
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
	if f.alerts.Count() != 1 {
		t.Errorf("a person is told: %s", f.alerts)
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
			if f.alerts.Count() != c.alert {
				t.Errorf("a person is told: %s", f.alerts)
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
			if reread != c.reread || f.alerts.Count() != 1 {
				t.Errorf("read again %d times; a person is told: %s", reread, f.alerts)
			}
			f.config.Reread = nil
			f.clock.Advance(2 * time.Hour)
			f.step(f.manager())
		})
	}
}

// An entitlement that could not be read again is told of, and no other.
func TestEntitlementThatCannotBeReadAgain(t *testing.T) {
	t.Parallel()
	for _, away := range []error{nil, errors.New("AWS is away")} {
		f := newFixture(t)
		f.subscription(1)
		var log commandstest.Lines
		f.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		f.config.Reread = func(context.Context, uuid.UUID) error { return away }
		f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
			return all(reports, domain.MeteringNotSubscribed)
		}
		f.step(f.manager())
		if told := strings.Contains(log.String(), "could not be read again"); told != (away != nil) {
			t.Errorf("it fails with %v, and told is:\n%s", away, log.String())
		}
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

// unreadable is a store of which one stream cannot be read, as when it holds an event that this program does not know.
type unreadable struct {
	commands.EventStore
	stream string
}

func (s unreadable) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	if stream == s.stream {
		return nil, errBroken
	}
	return s.EventStore.Read(ctx, stream, from, limit)
}

// What concerns one stream keeps no other subscription's usage from AWS, and is told all the same.
func TestUnreadableStreamHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream  func(bad uuid.UUID) string
		begin   func(f *fixture, ids []uuid.UUID)
		outcome domain.MeteringOutcome // of the bad one
		bad     []string
		others  domain.UsageRecordStatus
	}{
		"of a subscription": {domain.SubscriptionStream, nothing, "", nil, domain.RecordAccepted},
		"of an ended subscription": {domain.SubscriptionStream, func(f *fixture, ids []uuid.UUID) {
			for _, id := range ids {
				f.end(id)
			}
			f.clock.Advance(5 * time.Second)
		}, "", nil, domain.RecordAccepted},
		"of a record": {func(bad uuid.UUID) string { return key(bad).Stream() }, prepare, "", []string{prepared}, domain.RecordAccepted},
		"of the subscription of a late record": {domain.SubscriptionStream, func(f *fixture, ids []uuid.UUID) {
			prepare(f, ids)
			f.clock.Set(f.usageRecord(ids[0]).Deadline)
		}, "", []string{prepared}, domain.RecordCarried},
		"of a subscription that AWS does not know": {
			domain.SubscriptionStream, prepare, domain.MeteringNotSubscribed, []string{prepared, attempted}, domain.RecordAccepted,
		},
		"of a subscription whose record AWS finds too old": {
			domain.SubscriptionStream, prepare, domain.MeteringTimestampRefused, []string{prepared, attempted, deferred, attempted}, domain.RecordAccepted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			ids := []uuid.UUID{f.subscription(1), f.subscription(1), f.subscription(1), f.subscription(1)}
			bad := ids[1]
			c.begin(f, ids)
			f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
				outcomes := all(reports, domain.MeteringSuccess)
				for i, report := range reports {
					switch {
					case !strings.HasSuffix(report.Identity.LicenseARN, bad.String()):
					case c.outcome == domain.MeteringTimestampRefused:
						return all(reports, c.outcome) // AWS refuses the call as a whole
					case c.outcome != "":
						outcomes[i] = c.outcome
					}
				}
				return outcomes
			}
			f.config.Store = unreadable{f.log, c.stream(bad)}
			if _, err := f.manager().Step(t.Context()); !errors.Is(err, errBroken) {
				t.Errorf("the step gives %v", err)
			}
			f.wants(bad, c.bad...)
			for _, id := range ids {
				if got := f.usageRecord(id).Status; id != bad && got != c.others {
					t.Errorf("the record of another subscription is %q, want %q", got, c.others)
				}
			}
		})
	}
}

func nothing(*fixture, []uuid.UUID) {}

// prepare lets the records be in the log already.
func prepare(f *fixture, _ []uuid.UUID) {
	f.t.Helper()
	if err := f.manager().PrepareUsageRecords(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
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

// A call is filled up from what is due next when the read model names records that the log has closed already.
func TestCallsAreFilledUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var ids []uuid.UUID
	for range 40 {
		ids = append(ids, f.subscription(1))
	}
	m := f.manager()
	if err := m.PrepareUsageRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
	stale, err := f.Due(t.Context(), "us-east-1", f.clock.Now(), false, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids[1:11] {
		f.record(key(id).Stream(), domain.UsageRecordQuarantined{UsageRecordKey: key(id), Quantity: 1, Reason: "by another node"})
	}
	f.config.Model = oldDue{f, stale}
	f.step(f.manager())
	if got := f.sizes(); !slices.Equal(got, []int{1, 25, 4}) {
		t.Errorf("the calls have %v records, want one, a full one and the rest", got)
	}
	for _, id := range ids[1:11] {
		f.wants(id, prepared, locked)
	}
}

// oldDue names as due what was due when a test looked.
type oldDue struct {
	*fixture
	due []domain.UsageRecordKey
}

func (o oldDue) Due(context.Context, string, time.Time, bool, int) ([]domain.UsageRecordKey, error) {
	return o.due, nil
}

// oldLate names as too late what was when a test looked.
type oldLate struct {
	*fixture
	late []domain.UsageRecordKey
}

func (o oldLate) Late(context.Context, time.Time, int) ([]domain.UsageRecordKey, error) {
	return o.late, nil
}

// A record that is too late is given up once, however long the read model still names it, and a person is told once.
func TestLateRecordIsGivenUpOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(1)
	if err := f.manager().PrepareUsageRecords(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.end(id)
	f.clock.Set(f.usageRecord(id).Deadline.Add(time.Minute))
	f.config.Model = oldLate{f, []domain.UsageRecordKey{key(id)}}
	for range 3 {
		if _, err := f.manager().SendUsageRecords(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.wants(id, prepared, rejected)
		if f.alerts.Count() != 1 {
			t.Errorf("a person is told: %q", f.alerts)
		}
	}
}

// A record that was closed while AWS was asked stays closed as it is, and alarms nobody.
func TestRecordClosedDuringTheCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(1)
	f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
		f.record(key(id).Stream(), domain.UsageRecordAccepted{UsageRecordKey: key(id), Outcome: domain.MeteringSuccess, Quantity: 1})
		return all(reports, domain.MeteringNotSubscribed)
	}
	reread := 0
	f.config.Reread = func(context.Context, uuid.UUID) error { reread++; return nil }
	f.step(f.manager())
	f.wants(id, prepared, attempted, accepted)
	if f.alerts.Count() != 0 || reread != 0 {
		t.Errorf("for a closed record the entitlement was read %d times, and a person told: %s", reread, f.alerts)
	}
}

// AWS may find an hour too old that is not: by its own clock, or because its agreement has ended. The subscription decides
// whether a later hour takes the quantity.
func TestHourThatAWSFindsTooOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ended bool
		want  []string
		alert int
	}{
		"a later hour takes it":  {want: []string{prepared, attempted, carried}},
		"there is no later hour": {ended: true, want: []string{prepared, attempted, rejected}, alert: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.subscription(1)
			if c.ended {
				f.end(id)
			}
			f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
				return all(reports, domain.MeteringTimestampRefused)
			}
			f.step(f.manager())
			f.wants(id, c.want...)
			if f.alerts.Count() != c.alert {
				t.Errorf("a person is told %d times: %s", f.alerts.Count(), f.alerts)
			}
		})
	}
}
