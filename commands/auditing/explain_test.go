package auditing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// customer is one whose log is explained and replayed.
type customer struct {
	testing.TB
	*memoryLog
	state   domain.Subscription
	changes uint64 // of the subscription
	usage   domain.UsageMonth
	at      time.Time
}

// newCustomer has a plan of two calls a month, and two keys.
func newCustomer(tb testing.TB) *customer {
	tb.Helper()
	c := &customer{TB: tb, memoryLog: &memoryLog{}, usage: domain.UsageMonth{Month: domain.MonthOf(noon)}, at: noon}
	identity := domain.MarketplaceIdentity{LicenseARN: "l-1", AWSAccountID: "123456789012", ProductCode: "product"}
	c.change(domain.Subscription{}.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 2}, noon)...)
	first, second := domain.KeyDigest{Hash: "1", Prefix: "lc_first"}, domain.KeyDigest{Hash: "2", Prefix: "lc_other"}
	for _, issued := range (domain.APIKeys{}).Issue(c.state.CustomerID, c.state.ID, first, second, noon) {
		c.add(domain.APIKeysStream(c.state.CustomerID), issued)
	}
	return c
}

// add appends an event, a minute after the one before.
func (c *customer) add(stream string, event domain.Event) {
	c.Helper()
	c.write(c, stream, event)
	c.entries[len(c.entries)-1].RecordedAt = c.at
	c.at = c.at.Add(time.Minute)
}

func (c *customer) change(events ...domain.Event) {
	c.Helper()
	for _, event := range events {
		c.state, c.changes = c.state.Fold(event), c.changes+1
		c.add(domain.SubscriptionStream(c.state.ID), event)
	}
}

// call counts one more call and returns its event.
func (c *customer) call(slot domain.KeySlot) auditing.Entry {
	c.Helper()
	return c.callOn(slot, c.changes-1)
}

// callOn counts a call that was decided on a state of before.
func (c *customer) callOn(slot domain.KeySlot, revision uint64) auditing.Entry {
	c.Helper()
	event, err := c.usage.Count(c.state, revision, domain.Check{
		ID: uuid.New(), KeySlot: slot, At: c.at, Judgement: domain.Judgement{FakeFace: slot == domain.SlotSecondary, FakeLikelihood: 0.01, Threshold: 0.15},
	})
	if err != nil {
		c.Fatal(err)
	}
	c.usage = c.usage.Fold(event)
	c.add(domain.UsageStream(c.state.ID, c.usage.Month), event)
	return c.entries[len(c.entries)-1]
}

// explained returns the summary and the reasons, a line each.
func (c *customer) explained(e auditing.Entry) string {
	c.Helper()
	recorded, err := auditing.Decode(domain.NewRegistry(), e)
	if err != nil {
		c.Fatal(err)
	}
	x, err := auditing.Explain(c.Context(), c, recorded)
	if err != nil {
		c.Fatal(err)
	}
	lines := []string{x.Summary}
	for _, reason := range x.Reasons {
		line := reason.Says
		if reason.Place != nil {
			line += " <" + reason.Type + ">"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func wantText(tb testing.TB, what, got, want string) {
	tb.Helper()
	if got != strings.TrimSpace(want) {
		tb.Errorf("%s:\n%s\nwant:\n%s", what, got, strings.TrimSpace(want))
	}
}

// A call is explained by what it was decided on, and by nothing that stands behind it.
func TestCallsAreExplained(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	first := c.call(domain.SlotPrimary)
	c.add(domain.APIKeysStream(c.state.CustomerID), domain.KeyRegenerated{Slot: domain.SlotSecondary, NewKey: domain.KeyDigest{Prefix: "lc_newer"}})
	second := c.call(domain.SlotSecondary)
	before := c.changes - 1
	c.change(domain.OverageSwitched{SubscriptionID: c.state.ID, From: domain.OverageContinue, To: domain.OverageContinue, Ceiling: 7, SwitchedAt: c.at})
	third := c.callOn(domain.SlotPrimary, before)
	c.add(domain.APIKeysStream(c.state.CustomerID), domain.KeyRegenerated{Slot: domain.SlotPrimary, NewKey: domain.KeyDigest{Prefix: "lc_latest"}})
	fourth := c.call(domain.SlotPrimary)
	const judged = "The face was judged live: the likelihood of a fake is 0.01, and above 0.15 it is one. Every judged face is counted, whatever the verdict."
	wantText(t, "the first", c.explained(first), `
Call 1 of 2026-11 was counted within the plan, because it is one of the first 2 calls of the month.
The subscription served calls: it had started, and had not ended. <SubscriptionStarted>
The plan starter included 2 calls in a month. <SubscriptionStarted>
The over-limit switch was on continue: calls beyond the plan are served and billed as used. <SubscriptionStarted>
No call had been counted in 2026-11 before.
It was made with the primary key, which was lc_first… then. <KeyIssued>
`+judged)
	wantText(t, "the second", c.explained(second), `
Call 2 of 2026-11 was counted within the plan, because it is one of the first 2 calls of the month.
The subscription served calls: it had started, and had not ended. <SubscriptionStarted>
The plan starter included 2 calls in a month. <SubscriptionStarted>
The over-limit switch was on continue: calls beyond the plan are served and billed as used. <SubscriptionStarted>
1 calls had been counted in 2026-11 before: 1 within the plan, 0 beyond it. <CheckCompleted>
It was made with the secondary key, which was lc_newer… then. <KeyRegenerated>
`+strings.Replace(judged, "judged live", "judged a suspected fake", 1))
	wantText(t, "the third", c.explained(third), `
Call 3 of 2026-11 was counted beyond the plan, because the plan's 2 calls of the month were used, and calls beyond it were served.
The subscription served calls: it had started, and had not ended. <SubscriptionStarted>
The plan starter included 2 calls in a month. <SubscriptionStarted>
The over-limit switch was on continue: calls beyond the plan are served and billed as used. <SubscriptionStarted>
This change stands before the call in the log, recorded 1m0s earlier. The call was decided on the state before, without it. <OverageSwitched>
2 calls had been counted in 2026-11 before: 2 within the plan, 0 beyond it. <CheckCompleted>
It was made with the primary key, which was lc_first… then. <KeyIssued>
`+judged+`
It belongs to the hour from 2026-11-22 12:00 UTC, which has not been reported to AWS yet.`)
	wantText(t, "the fourth", c.explained(fourth), `
Call 4 of 2026-11 was counted beyond the plan, because the plan's 2 calls of the month were used, and calls beyond it were served.
The subscription served calls: it had started, and had not ended. <SubscriptionStarted>
The plan starter included 2 calls in a month. <SubscriptionStarted>
The over-limit switch was on continue with a ceiling: up to 7 calls beyond the plan are served and billed as used. <OverageSwitched>
3 calls had been counted in 2026-11 before: 2 within the plan, 1 beyond it. <CheckCompleted>
It was made with the primary key, which was lc_latest… then. <KeyRegenerated>
`+judged+`
It belongs to the hour from 2026-11-22 12:00 UTC, which has not been reported to AWS yet.`)
}

// A call beyond the plan is followed to what AWS was told of its hour: that of its recording, or the next that was not closed.
func TestCallsAreFollowedToAWS(t *testing.T) {
	t.Parallel()
	metered := func(closed time.Time, events ...domain.Event) string {
		c := newCustomer(t)
		c.call(domain.SlotPrimary)
		c.call(domain.SlotPrimary)
		if !closed.IsZero() {
			c.add(domain.SealedHoursStream(domain.MonthOf(closed)), domain.HourSealed{Hour: closed})
		}
		call := c.call(domain.SlotPrimary)
		c.add(domain.SealedHoursStream(domain.MonthOf(noon)), domain.HourSealed{Hour: noon.Add(10 * time.Hour)}) // behind it
		plan, err := domain.DefaultCatalogue().Plan(domain.PlanStarter)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			c.add(domain.MeteringStream(c.state.ID, noon.Add(time.Hour), plan.OverageDimension), event)
		}
		_, said, _ := strings.Cut(c.explained(call), "whatever the verdict.\n")
		return said
	}
	for name, test := range map[string]struct {
		closed time.Time
		events []domain.Event
		want   string
	}{
		"of its own hour":     {noon.Add(-time.Hour), nil, "It belongs to the hour from 2026-11-22 12:00 UTC, which has not been reported to AWS yet."},
		"of the next hour":    {noon, nil, "It belongs to the hour from 2026-11-22 13:00 UTC, which has not been reported to AWS yet."},
		"after a month's end": {noon.AddDate(0, -1, 0), nil, "It belongs to the hour from 2026-11-22 12:00 UTC, which has not been reported to AWS yet."},
		"a record": {noon, []domain.Event{
			domain.UsageRecordPrepared{Counted: 3, Quantity: 2}, domain.UsageRecordAccepted{MeteringRecordID: "m-1"}, domain.UsageRecordRejected{Reason: "why 1"},
			domain.UsageCarriedOver{Reason: "why 2"}, domain.UsageRecordQuarantined{Reason: "why 3"},
		}, `
It is one of the 3 calls beyond the plan of the hour from 2026-11-22 13:00 UTC, of which 2 are reported to AWS. <UsageRecordPrepared>
AWS bills that record, as m-1. <UsageRecordAccepted>
The record was written off: why 1. <UsageRecordRejected>
The quantity moved to a later hour: why 2. <UsageCarriedOver>
The record waits for a person: why 3. <UsageRecordQuarantined>`},
	} {
		wantText(t, name, metered(test.closed, test.events...), test.want)
	}
}

// Every other event is said in words, with the one before it.
func TestOtherEventsAreExplained(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	id := c.state.ID
	c.change(
		domain.OverageSwitched{SubscriptionID: id, To: domain.OverageStop}, domain.SubscriptionEnded{SubscriptionID: id, Reason: "cancelled"},
		domain.SubscriptionReinstated{SubscriptionID: id, Why: "a mistake"},
		domain.PlanChanged{SubscriptionID: id, FromPlan: "starter", FromLimit: 2, Plan: "growth", Limit: 9},
		domain.OverageSwitched{SubscriptionID: id, To: domain.OverageContinue}, domain.SubscriptionRenewed{SubscriptionID: id},
		domain.SubscriptionScheduled{SubscriptionID: id, StartsAt: noon},
	)
	for i, want := range map[int]string{
		0: "The subscription started with the plan starter, 2 calls a month, by the service itself, at 2026-11-22 12:00:00 UTC.\nIt is the first event of its stream.",
		1: "The primary key lc_first… was issued, by the service itself, at 2026-11-22 12:00:00 UTC.\nIt is the first event of its stream.",
		3: "The over-limit switch changed. The over-limit switch was on stop: calls beyond the plan are refused, by the service itself, at 2026-11-22 12:00:00 UTC.\n" +
			"It follows this one: The subscription started with the plan starter, 2 calls a month. <SubscriptionStarted>",
		5: "The subscription goes on: a mistake, by the service itself, at 2026-11-22 12:00:00 UTC.\nIt follows this one: The subscription ended: cancelled. <SubscriptionEnded>",
		6: "The plan changed from starter (2 calls a month) to growth (9), for the whole month, by the service itself, at 2026-11-22 12:00:00 UTC.\n" +
			"It follows this one: The subscription goes on: a mistake. <SubscriptionReinstated>",
		9: "The subscription is to start on 2026-11-22, by the service itself, at 2026-11-22 12:00:00 UTC.\nIt follows this one: The subscription was renewed. <SubscriptionRenewed>",
	} {
		wantText(t, c.entries[i].Type, c.explained(c.entries[i]), want)
	}
	c.add("devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	if said := c.explained(c.entries[10]); !strings.HasPrefix(said, "Device first used, by the service itself") {
		t.Errorf("an event without a sentence of its own: %s", said)
	}
}

// An event is found by its id, or by that of the request that led to it, and what leads to it no more is not looked at.
func TestEventsAreFound(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	c.call(domain.SlotPrimary)
	call := c.call(domain.SlotPrimary)
	c.entries[2].Type = "Theirs"
	request, theirs := uuid.New(), uuid.New()
	for i, of := range map[int]uuid.UUID{1: request, 2: theirs, 3: request} {
		c.entries[i].Metadata = []byte(strings.Replace(string(c.entries[i].Metadata), uuid.Nil.String(), of.String(), 1))
	}
	for name, test := range map[string]struct {
		id   uuid.UUID
		want int // entry, -1 for none
	}{
		"by its id": {call.ID, 4}, "by its request": {request, 1}, "another program's": {theirs, -1}, "its id": {c.entries[2].ID, -1}, "nothing": {uuid.New(), -1},
	} {
		found, ok, err := auditing.Find(t.Context(), c, test.id)
		if err != nil || ok != (test.want >= 0) || ok && found.ID != c.entries[test.want].ID {
			t.Errorf("%s: %+v, %t, %v", name, found, ok, err)
		}
	}
	c.entries[0].Metadata = []byte(strings.Replace(string(c.entries[0].Metadata), uuid.Nil.String(), call.ID.String(), 1))
	if found, _, err := auditing.Find(t.Context(), c, call.ID); err != nil || found.ID != call.ID {
		t.Errorf("an event whose id is also that of an earlier one's request: %+v, %v", found, err)
	}
	c.entries[4].Data = []byte("{")
	if _, _, err := auditing.Find(t.Context(), c, call.ID); err == nil {
		t.Error("what cannot be read is found")
	}
	usage := domain.UsageStream(c.state.ID, c.usage.Month)
	for id, want := range map[uuid.UUID]bool{c.entries[3].ID: true, c.entries[0].ID: true, c.entries[1].ID: false} {
		found, ok, err := auditing.FindIn(t.Context(), c, id, usage, domain.SubscriptionStream(c.state.ID))
		if err != nil || ok != want || ok && found.ID != id {
			t.Errorf("in two streams: %+v, %t, %v", found, ok, err)
		}
	}
}
