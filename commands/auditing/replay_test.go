package auditing_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// What held at a moment follows from the events up to it alone.
func TestMomentsAreReplayed(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	for range 3 {
		c.call(domain.SlotPrimary)
	}
	c.change(domain.OverageSwitched{SubscriptionID: c.state.ID, To: domain.OverageStop})
	december := noon.AddDate(0, 1, 0)
	c.usage, c.at = domain.UsageMonth{Month: domain.MonthOf(december)}, december
	c.call(domain.SlotPrimary)
	later := noon.AddDate(0, 3, 0)
	at := func(i int) auditing.Moment { return auditing.Moment{Position: c.entries[i].Position} }
	const beyond = " The over-limit switch was on continue: calls beyond the plan are served and billed as used."
	for name, test := range map[string]struct {
		at     auditing.Moment
		known  bool
		keys   int
		counts []int64 // by month, newest first: within the plan, beyond it
		next   string
	}{
		"before it started": {auditing.Moment{Position: 9}, false, 0, nil, ""},
		"at its start":      {at(0), true, 0, nil, "Another call in 2026-11 would have been call 1 of the 2 that the plan includes."},
		"with a key":        {at(1), true, 1, nil, "Another call in 2026-11 would have been call 1 of the 2 that the plan includes."},
		"after a call":      {at(3), true, 2, []int64{1, 0}, "Another call in 2026-11 would have been call 2 of the 2 that the plan includes."},
		"between calls":     {auditing.Moment{Position: c.entries[4].Position - 1}, true, 2, []int64{1, 0}, "Another call in 2026-11 would have been call 2 of the 2 that the plan includes."},
		"the plan is used":  {at(4), true, 2, []int64{2, 0}, "Another call in 2026-11 would have been counted beyond the plan, as call 3." + beyond},
		"beyond it":         {at(5), true, 2, []int64{2, 1}, "Another call in 2026-11 would have been counted beyond the plan, as call 4." + beyond},
		"stopped":           {at(6), true, 2, []int64{2, 1}, "Another call would have been refused: "},
		"in the next month": {at(7), true, 2, []int64{1, 0, 2, 1}, "Another call in 2026-12 would have been call 2 of the 2 that the plan includes."},
		"by a time":         {auditing.Moment{Time: c.entries[4].RecordedAt}, true, 2, []int64{2, 0}, "Another call in 2026-11 would have been counted beyond the plan, as call 3." + beyond},
		"by an earlier one": {auditing.Moment{Time: c.entries[4].RecordedAt.Add(-1)}, true, 2, []int64{1, 0}, "Another call in 2026-11 would have been call 2 of the 2 that the plan includes."},
		"a month without":   {auditing.Moment{Time: december.AddDate(0, 0, -15)}, true, 2, []int64{2, 1}, "Another call in 2026-12 would have been call 1 of the 2 that the plan includes."},
		"before all":        {auditing.Moment{Time: noon.Add(-1)}, false, 0, nil, ""},
	} {
		asOf, known, err := auditing.Replay(t.Context(), c, c.state.ID, test.at, later)
		if err != nil || known != test.known {
			t.Errorf("%s: known %t, %v", name, known, err)
			continue
		}
		var counts []int64
		for _, m := range asOf.Months {
			counts = append(counts, m.Included, m.Overage)
			if m.Counted != m.Included+m.Overage {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if len(asOf.Keys) != test.keys || !slices.Equal(counts, test.counts) || !strings.HasPrefix(asOf.NextCall, test.next) {
			t.Errorf("%s: %d keys, calls %v, %s", name, len(asOf.Keys), counts, asOf.NextCall)
		}
	}
}

// Whoever has begun by a moment is replayed, in the order of the log.
func TestSubscriptionsThatHadBegun(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	var ids []uuid.UUID
	for range 3 {
		id := uuid.New()
		ids = append(ids, id)
		l.write(t, domain.SubscriptionStream(id), domain.SubscriptionStarted{SubscriptionID: id})
		l.write(t, domain.SubscriptionStream(id), domain.SubscriptionRenewed{SubscriptionID: id})
		l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	}
	for moment, want := range map[auditing.Moment][]uuid.UUID{
		{Position: 9}: nil, {Position: 10}: ids[:1], {Position: 39}: ids[:1], {Position: 40}: ids[:2], {Position: 1000}: ids,
		{Time: noon}: ids, {Time: noon.Add(-time.Second)}: nil,
	} {
		if got, _, err := auditing.Subscriptions(t.Context(), l, moment); err != nil || !slices.Equal(got, want) {
			t.Errorf("at %+v: %v, %v; want %v", moment, got, err, want)
		}
	}
}

// A position lies in the month in which the log came to it, whoever wrote what stands there, and not in that of the last call.
func TestAPositionLiesInItsMonth(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	c.change(domain.OverageSwitched{SubscriptionID: c.state.ID, To: domain.OverageStop})
	c.call(domain.SlotPrimary)
	c.call(domain.SlotPrimary)
	c.at = noon.AddDate(0, 2, 0)
	c.add("devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	for position, want := range map[uint64]string{
		c.entries[5].Position:     "Another call would have been refused: ",
		c.entries[6].Position - 1: "Another call would have been refused: ",
		c.entries[6].Position:     "Another call in 2027-01 would have been call 1 of the 2 that the plan includes.",
	} {
		ids, at, err := auditing.Subscriptions(t.Context(), c, auditing.Moment{Position: position})
		if err != nil || len(ids) != 1 {
			t.Fatal(ids, err)
		}
		if asOf, _, err := auditing.Replay(t.Context(), c, c.state.ID, at, noon.AddDate(1, 0, 0)); err != nil || !strings.HasPrefix(asOf.NextCall, want) {
			t.Errorf("at %d: %s, %v; want %s", position, asOf.NextCall, err, want)
		}
	}
	c.change(domain.SubscriptionRenewed{SubscriptionID: c.state.ID})
	asOf, _, err := auditing.Replay(t.Context(), c, c.state.ID, auditing.Moment{Position: c.entries[7].Position}, noon.AddDate(1, 0, 0))
	if want := "Another call in 2027-01 would have been call 1"; err != nil || !strings.HasPrefix(asOf.NextCall, want) {
		t.Errorf("at an event of its own: %s, %v; want %s", asOf.NextCall, err, want)
	}
}

// Where a log does not say when a subscription began, or says nonsense, months are looked for that may hold calls, and no others.
func TestReplayEndsWithoutABeginning(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	s := domain.Subscription{ID: uuid.New()}
	l.write(t, domain.SubscriptionStream(s.ID), domain.SubscriptionStarted{SubscriptionID: s.ID, Limit: 10})
	first := domain.Month{Year: 2000, Month: time.December}
	for _, month := range []domain.Month{first, first.Next()} {
		l.write(t, domain.UsageStream(s.ID, month), domain.CheckCompleted{Month: month, IncludedTotal: 1})
	}
	asOf, known, err := auditing.Replay(t.Context(), l, s.ID, auditing.Moment{Time: noon}, noon)
	if err != nil || !known || len(asOf.Months) != 1 || asOf.Months[0].Month != first.Next() {
		t.Errorf("%+v, %t, %v", asOf.Months, known, err)
	}
}

// A moment that is to come is asked for in no more months than now is.
func TestAMomentToComeCostsWhatNowDoes(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	c.call(domain.SlotPrimary)
	now := noon.AddDate(0, 1, 0)
	looksAt := func(at time.Time) int {
		log := &looksAtEnds{memoryLog: c.memoryLog}
		asOf, known, err := auditing.Replay(t.Context(), log, c.state.ID, auditing.Moment{Time: at}, now)
		if err != nil || !known || len(asOf.Months) != 1 || asOf.Months[0].Counted != 1 {
			t.Errorf("at %s: %+v, %t, %v", at, asOf.Months, known, err)
		}
		return log.looks
	}
	if far, want := looksAt(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)), looksAt(now); far != want || want > 3 {
		t.Errorf("the last events of %d streams are read, for now those of %d", far, want)
	}
}

// looksAtEnds counts how often the last event of a stream is read.
type looksAtEnds struct {
	*memoryLog
	looks int
}

func (l *looksAtEnds) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	l.looks++
	return l.memoryLog.ReadLast(ctx, stream)
}

// brokenLog cannot read streams of one category.
type brokenLog struct {
	*memoryLog
	category string
}

var errBroken = errors.New("broken")

func (l brokenLog) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	if strings.HasPrefix(stream, l.category+"-") {
		return nil, errBroken
	}
	return l.memoryLog.Read(ctx, stream, from, limit)
}

// Nothing is said of a log that cannot be read.
func TestNothingIsSaidOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	for range 4 {
		c.call(domain.SlotPrimary)
	}
	call, err := auditing.Decode(domain.NewRegistry(), c.entries[5])
	if err != nil {
		t.Fatal(err)
	}
	for _, category := range []string{"subscription", "apikeys", "usage", "sealedhours", "metering"} {
		log := brokenLog{c.memoryLog, category}
		if _, err := auditing.Explain(t.Context(), log, call); !errors.Is(err, errBroken) {
			t.Errorf("explained without %s: %v", category, err)
		}
		_, _, err := auditing.Replay(t.Context(), log, c.state.ID, auditing.Moment{Position: call.Position}, noon)
		if reads := category != "sealedhours" && category != "metering"; errors.Is(err, errBroken) != reads {
			t.Errorf("replayed without %s: %v", category, err)
		}
		if _, _, err := auditing.FindIn(t.Context(), log, call.ID, c.entries[0].Stream, call.Stream); errors.Is(err, errBroken) != (category == "usage" || category == "subscription") {
			t.Errorf("found without %s: %v", category, err)
		}
	}
}

// Streams are read to their end, however many pages they have.
func TestLongStreamsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	stream := domain.SubscriptionStream(uuid.New())
	for range 1001 {
		l.write(t, stream, domain.SubscriptionRenewed{})
	}
	last := l.entries[len(l.entries)-1]
	if found, ok, err := auditing.FindIn(t.Context(), l, last.ID, stream); err != nil || !ok || found.Revision != 1000 {
		t.Errorf("%+v, %t, %v", found, ok, err)
	}
	c := newCustomer(t)
	for range 3 {
		c.call(domain.SlotPrimary)
	}
	call := c.entries[len(c.entries)-1]
	plan, err := domain.DefaultCatalogue().Plan(domain.PlanStarter)
	if err != nil {
		t.Fatal(err)
	}
	for range 501 {
		c.add(domain.MeteringStream(c.state.ID, noon, plan.OverageDimension), domain.UsageRecordRejected{})
	}
	if told := strings.Count(c.explained(call), "The record was written off"); told != 501 {
		t.Errorf("of 501 events %d are told", told)
	}
}
