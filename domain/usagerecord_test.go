package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

func TestUsageRecord(t *testing.T) {
	t.Parallel()
	type record = domain.UsageRecord
	type events = []domain.Event
	begun := noon.Add(-48 * time.Hour)
	active := domain.Subscription{ID: id(1), CustomerID: id(2), Marketplace: identity, Status: domain.StatusActive, Plan: domain.PlanStarter, StartedAt: begun}
	ended := active
	ended.Status, ended.EndedAt = domain.StatusEnded, noon.Add(-time.Minute)
	legacy := active
	legacy.Marketplace.CustomerIdentifier = "legacy"
	key := domain.NewUsageRecordKey(id(1), noon, domain.PlanStarter, "starter_over")
	deadline := noon.Add(24 * time.Hour)
	carried := []domain.CarriedUsage{{Hour: noon.Add(-30 * time.Hour), Quantity: 3}}
	usage := domain.SealedUsage{SubscriptionID: id(1), Hour: noon, Plan: domain.PlanStarter, Counted: 7, Carried: carried}
	target := domain.MeteringTarget{Region: "us-east-1", Dimension: "starter_over"}
	later := noon.Add(time.Hour)

	prepared := domain.UsageRecordPrepared{
		UsageRecordKey: key, CustomerID: id(2), AWSAccountID: identity.AWSAccountID, LicenseARN: identity.LicenseARN, ProductCode: identity.ProductCode,
		Timestamp: noon, Deadline: deadline, Quantity: 10, Counted: 7, Carried: carried, Region: "us-east-1", PreparedAt: later,
	}
	counted := prepared
	counted.Quantity, counted.Carried = 7, nil
	legacyPrepared := prepared
	legacyPrepared.AWSAccountID, legacyPrepared.LicenseARN, legacyPrepared.CustomerIdentifier = "", "", "legacy"
	zero := prepared
	zero.Quantity, zero.Counted, zero.Carried = 0, 0, nil
	young := active
	young.StartedAt = noon.Add(time.Hour)
	attempted := func(n int) domain.UsageRecordAttempted {
		delay := map[int]time.Duration{1: 3750 * time.Millisecond, 2: 7500 * time.Millisecond}[n]
		return domain.UsageRecordAttempted{UsageRecordKey: key, AttemptID: id(6), Attempt: n, AttemptedAt: later, RetryAt: later.Add(delay)}
	}
	deferred := func(outcome domain.MeteringOutcome, reason string, wait time.Duration) domain.UsageRecordDeferred {
		return domain.UsageRecordDeferred{UsageRecordKey: key, AttemptID: id(6), Outcome: outcome, Reason: reason, DeferredAt: later, RetryAt: later.Add(wait)}
	}
	throttled := deferred(domain.MeteringThrottled, "AWS throttled the call", 3750*time.Millisecond)
	accepted := domain.UsageRecordAccepted{UsageRecordKey: key, MeteringRecordID: "aws-1", Outcome: domain.MeteringSuccess, Quantity: 10, Reason: "AWS accepted the record", AcceptedAt: later}
	quarantined := domain.UsageRecordQuarantined{UsageRecordKey: key, Quantity: 10, QuarantinedAt: later,
		Reason: "too late to repeat, and an attempt without an answer may have been billed; resolve by CloudTrail"}
	late := domain.UsageCarriedOver{UsageRecordKey: key, Quantity: 10, Reason: "too late; no attempt can have been billed", CarriedAt: later}

	prepare := func(s domain.Subscription, u domain.SealedUsage, to domain.MeteringTarget) func(record) ([]domain.Event, error) {
		return func(r record) ([]domain.Event, error) { return r.Prepare(s, u, to, later) }
	}
	settle := func(a domain.MeteringAnswer) func(record) ([]domain.Event, error) {
		a.AttemptID = id(6)
		if a.BatchSize == 0 {
			a.BatchSize = 1
		}
		a.Subscription = domain.StatusActive
		return recorded(func(r record) []domain.Event { events, _ := r.Settle(a, later); return events })
	}
	expire := func(at time.Time, status domain.SubscriptionStatus) func(record) ([]domain.Event, error) {
		return recorded(func(r record) []domain.Event { events, _ := r.Expire(status, at); return events })
	}
	resolve := func(to domain.Resolution, reason string, status domain.SubscriptionStatus) func(record) ([]domain.Event, error) {
		return func(r record) ([]domain.Event, error) { return r.Resolve(to, "aws-1", reason, status, later) }
	}
	returned := func(at time.Time) domain.Subscription {
		return active.Fold(domain.SubscriptionEnded{EndedAt: at.Add(-3 * time.Hour)}).Fold(domain.SubscriptionReinstated{ReinstatedAt: at})
	}
	stamped := func(at time.Time) domain.UsageRecordPrepared {
		p := prepared
		p.Timestamp, p.Deadline = at, at.Add(24*time.Hour)
		return p
	}
	attempt := recorded(func(r record) []domain.Event { return r.Attempt(id(6), later) })
	at := func(e domain.UsageCarriedOver, t time.Time) domain.Event { e.CarriedAt = t; return e }

	play(t, []scenario[record]{
		{name: "is prepared", when: prepare(active, usage, target), then: events{prepared}},
		{name: "is prepared once", given: events{prepared}, when: prepare(active, usage, target)},
		{name: "names a buyer the old way or the new, never both", when: prepare(legacy, usage, domain.MeteringTarget{Region: "us-east-1", Dimension: "starter_over", Legacy: true}),
			then: events{legacyPrepared}},
		{name: "writes off what was counted after the agreement's end",
			when: prepare(ended, domain.SealedUsage{SubscriptionID: id(1), Hour: noon, Plan: domain.PlanStarter, Counted: 7}, target),
			then: events{counted, domain.UsageRecordRejected{
				UsageRecordKey: key, Quantity: 7, Reason: "counted after the end of the agreement, before it was known here", RejectedAt: later}}},
		{name: "says that what it writes off was carried there", when: prepare(ended, usage, target), then: events{prepared, domain.UsageRecordRejected{
			UsageRecordKey: key, Quantity: 10, Reason: "at least partly carried over from earlier hours into one after the end of the agreement, where AWS takes no usage", RejectedAt: later}}},
		{name: "is stamped within the new agreement in the hour of a return", when: prepare(returned(noon.Add(20*time.Minute)), usage, target),
			then: events{stamped(noon.Add(20 * time.Minute))}},
		{name: "is stamped with the hour after a return", when: prepare(returned(noon.Add(-20*time.Minute)), usage, target), then: events{prepared}},
		{name: "is stamped within the old agreement before a return", when: prepare(returned(noon.Add(time.Hour)), usage, target), then: events{prepared}},
		{name: "is attempted", given: events{prepared}, when: attempt, then: events{attempted(1)}},
		{name: "is attempted again", given: events{prepared, attempted(1)}, when: attempt, then: events{attempted(2)}},
		{name: "is not sent before it is prepared", when: attempt},
		{name: "is not sent when closed", given: events{prepared, accepted}, when: attempt},
		{name: "is accepted", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringSuccess, MeteringRecordID: "aws-1"}), then: events{accepted}},
		{name: "is accepted once", given: events{prepared, attempted(1), accepted}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringSuccess})},
		{name: "is deferred", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringThrottled}), then: events{throttled}},
		{name: "is held for a licence that AWS does not know", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringNotSubscribed}),
			then: events{deferred(domain.MeteringNotSubscribed, "AWS knows no active agreement for an active licence", 10*time.Minute)}},
		{name: "keeps an unknown outcome unknown", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringUnknown})},
		{name: "takes a duplicate for its own after an unknown outcome", given: events{prepared, attempted(1), attempted(2)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringDuplicate}),
			then: events{domain.UsageRecordAccepted{UsageRecordKey: key, Outcome: domain.MeteringDuplicate, Quantity: 10, Reason: "an earlier attempt whose answer was lost had been accepted", AcceptedAt: later}}},
		{name: "takes a duplicate for another's after known outcomes", given: events{prepared, attempted(1), throttled, attempted(2)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringDuplicate}),
			then: events{domain.UsageRecordRejected{UsageRecordKey: key, Outcome: domain.MeteringDuplicate, Quantity: 10, RejectedAt: later,
				Reason: "AWS holds a record for this hour that this log did not send; compare with CloudTrail"}}},
		{name: "is found at fault alone in its batch", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringLicenceRefused}),
			then: events{domain.UsageRecordQuarantined{UsageRecordKey: key, Outcome: domain.MeteringLicenceRefused, Quantity: 10, Reason: "AWS refused the licence", QuarantinedAt: later}}},
		{name: "waits for its half of a refused batch", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringLicenceRefused, BatchSize: 2}),
			then: events{deferred(domain.MeteringLicenceRefused, "AWS refused the licence", 3750*time.Millisecond)}},
		{name: "is carried when AWS finds it too old", given: events{prepared, attempted(1)}, when: settle(domain.MeteringAnswer{Outcome: domain.MeteringTimestampRefused}),
			then: events{domain.UsageCarriedOver{UsageRecordKey: key, Outcome: domain.MeteringTimestampRefused, Quantity: 10, Reason: "too late; no attempt can have been billed", CarriedAt: later}}},
		{name: "is not late when it is closed", given: events{prepared, accepted}, when: expire(deadline, domain.StatusActive)},
		{name: "is written off when there is nothing to bill", given: events{zero}, when: expire(deadline, domain.StatusActive), then: events{domain.UsageRecordRejected{
			UsageRecordKey: key, Reason: "too late, and nothing to bill", RejectedAt: deadline}}},
		{name: "is stamped with the hour that the store's clock is behind", when: prepare(young, domain.SealedUsage{Hour: noon, Plan: domain.PlanStarter}, target), then: events{zero}},
		{name: "is not late before its margin", given: events{prepared}, when: expire(deadline.Add(-6*time.Minute), domain.StatusActive)},
		{name: "is carried within its margin", given: events{prepared, attempted(1), throttled}, when: expire(deadline.Add(-5*time.Minute), domain.StatusActive),
			then: events{at(late, deadline.Add(-5*time.Minute))}},
		{name: "may be repeated up to the deadline", given: events{prepared, attempted(1)}, when: expire(deadline.Add(-1), domain.StatusActive)},
		{name: "is never carried when it may have been billed", given: events{prepared, attempted(1)}, when: expire(deadline, domain.StatusActive), then: events{func() domain.Event {
			q := quarantined
			q.QuarantinedAt = deadline
			return q
		}()}},
		{name: "has no later hour after the end", given: events{prepared}, when: expire(deadline, domain.StatusEnded), then: events{domain.UsageRecordRejected{
			UsageRecordKey: key, Quantity: 10, Reason: "too late, and the agreement has no later hour to carry the quantity into", RejectedAt: deadline}}},
		{name: "is found billed by an operator", given: events{prepared, attempted(1), quarantined}, when: resolve(domain.ResolveBilled, "CloudTrail 1", domain.StatusActive),
			then: events{domain.UsageRecordAccepted{UsageRecordKey: key, MeteringRecordID: "aws-1", Quantity: 10, Reason: "CloudTrail 1", AcceptedAt: later}}},
		{name: "is carried by an operator", given: events{prepared, attempted(1), quarantined}, when: resolve(domain.ResolveCarry, "CloudTrail 1", domain.StatusActive),
			then: events{domain.UsageCarriedOver{UsageRecordKey: key, Quantity: 10, Reason: "CloudTrail 1", CarriedAt: later}}},
		{name: "is written off by an operator", given: events{prepared, attempted(1), quarantined}, when: resolve(domain.ResolveWriteOff, "CloudTrail 1", domain.StatusEnded),
			then: events{domain.UsageRecordRejected{UsageRecordKey: key, Quantity: 10, Reason: "CloudTrail 1", RejectedAt: later}}},
		{name: "is carried nowhere after the end", given: events{prepared, quarantined}, when: resolve(domain.ResolveCarry, "why", domain.StatusEnded), refused: domain.Invalid("resolution", "")},
		{name: "is resolved in one of three ways", given: events{prepared, quarantined}, when: resolve("perhaps", "why", domain.StatusActive), refused: domain.Invalid("resolution", "")},
		{name: "needs a reason", given: events{prepared, quarantined}, when: resolve(domain.ResolveCarry, "", domain.StatusActive), refused: domain.Invalid("reason", "")},
		{name: "is resolved only in quarantine", given: events{prepared}, when: resolve(domain.ResolveCarry, "why", domain.StatusActive), refused: domain.ErrNotQuarantined},
	})
	if _, err := (record{}).Prepare(active, usage, domain.MeteringTarget{Legacy: true}, later); err == nil {
		t.Error("a record was prepared without the identifier that the configuration asks for")
	}
	huge := usage
	huge.Counted = domain.MaxUsageQuantity
	if _, err := (record{}).Prepare(active, huge, target, later); err == nil {
		t.Error("a quantity that AWS cannot take was prepared")
	}
}

func TestRetriesDoubleAndSpread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		attempts int // before
		spread   byte
		want     time.Duration
	}{
		{0, 0, 3750 * time.Millisecond}, {0, 128, 5 * time.Second}, {0, 64, 4375 * time.Millisecond},
		{1, 128, 10 * time.Second}, {6, 128, 320 * time.Second}, {7, 128, 10 * time.Minute}, {100, 128, 10 * time.Minute}, {100, 0, 450 * time.Second},
	} {
		r := domain.UsageRecord{Status: domain.RecordOpen, Attempts: tt.attempts}
		attempted, ok := r.Attempt(uuid.UUID{0: tt.spread}, noon)[0].(domain.UsageRecordAttempted)
		if !ok || attempted.RetryAt.Sub(noon) != tt.want || attempted.Attempt != tt.attempts+1 {
			t.Errorf("%+v, want it repeated after %s", attempted, tt.want)
		}
	}
}

func TestUsageRecordNamesItsBuyer(t *testing.T) {
	t.Parallel()
	prepared := domain.UsageRecordPrepared{AWSAccountID: "1", LicenseARN: "arn", ProductCode: "code", CustomerIdentifier: "legacy"}
	want := domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: "arn", ProductCode: "code", CustomerIdentifier: "legacy"}
	if got := prepared.Identity(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A record of no usage loses nothing, whatever becomes of it. That another writer holds its hour is told all the same.
func TestNobodyIsToldOfARecordWithoutUsage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		outcome      domain.MeteringOutcome
		subscription domain.SubscriptionStatus
		action       domain.MeteringAction
		always       bool // also of one without usage
	}{
		"rejected":             {domain.MeteringNotSubscribed, domain.StatusEnded, domain.MeteringReject, false},
		"rejected as too late": {domain.MeteringTimestampRefused, domain.StatusEnded, domain.MeteringReject, false},
		"held":                 {domain.MeteringNotSubscribed, domain.StatusActive, domain.MeteringHold, false},
		"quarantined":          {domain.MeteringLicenceRefused, domain.StatusActive, domain.MeteringQuarantine, false},
		"another's":            {domain.MeteringDuplicate, domain.StatusActive, domain.MeteringReject, true},
		"paused":               {domain.MeteringAccessRefused, domain.StatusActive, domain.MeteringPause, true},
	} {
		for _, quantity := range []int64{0, 3} {
			record := domain.UsageRecord{UsageRecordPrepared: domain.UsageRecordPrepared{Quantity: quantity}, Status: domain.RecordOpen, Attempts: 1, Unanswered: 1}
			_, decision := record.Settle(domain.MeteringAnswer{Outcome: tt.outcome, BatchSize: 1, Subscription: tt.subscription}, time.Now())
			if want := tt.always || quantity > 0; decision.Action != tt.action || decision.Alert != want {
				t.Errorf("%s with %d calls: %+v, want %s and alert %t", name, quantity, decision, tt.action, want)
			}
		}
	}
}
