package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// meteredLog writes the log of one subscription whose plan includes no call, as the product would write it.
type meteredLog struct {
	*testing.T
	logbook
	id    uuid.UUID
	state domain.Subscription
	usage domain.UsageMonth
}

func newMeteredLog(t *testing.T) *meteredLog {
	t.Helper()
	l := &meteredLog{T: t, id: domain.SubscriptionIDForLicence(identity.LicenseARN)}
	l.at = noon
	l.change(l.state.Start(identity, domain.Entitlement{Plan: domain.PlanStarter}, noon)...)
	return l
}

func (l *meteredLog) change(events ...domain.Event) {
	for _, event := range events {
		l.state = l.state.Fold(event)
		l.write(domain.SubscriptionStream(l.id), event)
	}
}

// call counts n calls, all of them beyond the plan.
func (l *meteredLog) call(n int) {
	l.Helper()
	for range n {
		l.usage.Month = domain.MonthOf(l.at)
		event, err := l.usage.Count(l.state, l.revisions[domain.SubscriptionStream(l.id)]-1, domain.Check{ID: uuid.New(), At: l.at})
		if err != nil {
			l.Fatal(err)
		}
		l.usage = l.usage.Fold(event)
		l.write(domain.UsageStream(l.id, l.usage.Month), event)
	}
}

func (l *meteredLog) seal(hour time.Time) {
	l.at = hour.Add(time.Hour + 15*time.Second)
	l.write(domain.SealedHoursStream(domain.MonthOf(hour)), domain.HourSealed{Hour: hour, SealedAt: l.at})
}

// stamped gives a record the time and the deadline that its hour makes.
func stamped(e domain.UsageRecordPrepared) domain.UsageRecordPrepared {
	e.Timestamp, e.Deadline = e.Hour, domain.UsageDeadline(e.Hour)
	return e
}

// preparedRecord is a usage record in the log.
type preparedRecord struct {
	log   *meteredLog
	state domain.UsageRecord
}

func (l *meteredLog) prepare(hour time.Time, counted int64, carried ...domain.CarriedUsage) *preparedRecord {
	l.Helper()
	return l.prepareOf(l.state.Plan, hour, counted, 0, carried...)
}

// prepareOf prepares the record of a plan, lowered by a credit.
func (l *meteredLog) prepareOf(plan domain.PlanID, hour time.Time, counted, credited int64, carried ...domain.CarriedUsage) *preparedRecord {
	l.Helper()
	events, err := domain.UsageRecord{}.Prepare(l.state,
		domain.SealedUsage{SubscriptionID: l.id, Hour: hour, Plan: plan, Counted: counted, Carried: carried, Credited: credited},
		domain.MeteringTarget{Region: "us-east-1", Dimension: string(plan) + "_over"}, l.at)
	if err != nil {
		l.Fatal(err)
	}
	r := &preparedRecord{log: l}
	r.write(events...)
	return r
}

func (r *preparedRecord) write(events ...domain.Event) *preparedRecord {
	for _, event := range events {
		r.state = r.state.Fold(event)
		r.log.logbook.write(r.state.Stream(), event)
	}
	return r
}

// attempt sends the record; an outcome of MeteringUnknown stays without an answer.
func (r *preparedRecord) attempt(outcome domain.MeteringOutcome) *preparedRecord {
	return r.attemptAs(outcome, "aws-"+domain.UsageHourKey(r.state.Hour))
}

// attemptAs sends the record, which AWS names.
func (r *preparedRecord) attemptAs(outcome domain.MeteringOutcome, recordID string) *preparedRecord {
	id := uuid.New()
	r.write(r.state.Attempt(id, r.log.at)...)
	events, _ := r.state.Settle(domain.MeteringAnswer{
		AttemptID: id, Outcome: outcome, MeteringRecordID: recordID, BatchSize: 1, Subscription: r.log.state.Status,
	}, r.log.at)
	return r.write(events...)
}

// expire lets the deadline pass.
func (r *preparedRecord) expire() *preparedRecord {
	r.log.at = r.state.Deadline
	events, _ := r.state.Expire(r.log.state.Status, r.log.at)
	return r.write(events...)
}

func (l *meteredLog) settled() audit.Settlement { return audited(&l.logbook).Settle() }

// tampering changes the log of three calls, and what is to be found then, the subscription called ID.
type tampering struct {
	tamper func(*meteredLog)
	want   []string
}

func findsTampering(t *testing.T, tamperings map[string]tampering) {
	t.Helper()
	for name, test := range tamperings {
		l := newMeteredLog(t)
		l.call(3)
		test.tamper(l)
		got := problems(l.settled().Findings)
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], l.id.String(), "ID")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// wants compares the one account and the sums. What the account and the sums have in common is filled in.
func (l *meteredLog) wants(want audit.Settlement, account audit.Account) {
	l.Helper()
	account.SubscriptionID, account.Licence = l.id, "l-audited"
	want.Accounts = []audit.Account{account}
	if diff := cmp.Diff(want, l.settled()); diff != "" {
		l.Errorf("settlement (-want +got):\n%s", diff)
	}
}

func TestCallsWithoutARecordArePending(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.wants(audit.Settlement{}, audit.Account{Counted: 3, Pending: 3})
	l.seal(noon)
	l.wants(audit.Settlement{SealedHour: noon}, audit.Account{Counted: 3, Pending: 3})
}

func TestOpenAndQuarantinedRecordsArePending(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	r := l.prepare(noon, 3)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Open: 1}, audit.Account{Counted: 3, Pending: 3})
	r.attempt(domain.MeteringThrottled).attempt(domain.MeteringUnknown)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Repeated: 1, Open: 1}, audit.Account{Counted: 3, Pending: 3})
	r.attempt(domain.MeteringLicenceRefused)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Repeated: 2, Quarantined: 1}, audit.Account{Counted: 3, Pending: 3})
	if months := audited(&l.logbook).Months(); len(months) != 1 || months[0].Overage != 3 || months[0].Pending != 3 {
		t.Errorf("months: %+v", months)
	}
}

func TestAcceptedRecordsAreReported(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.call(2) // of the next hour
	l.prepare(noon, 3).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Accepted: 1}, audit.Account{Counted: 5, Accepted: 3, Pending: 2})
	if months := audited(&l.logbook).Months(); len(months) != 1 || months[0].Accepted != 3 || months[0].Counted != 5 {
		t.Errorf("months: %+v", months)
	}
}

// A call whose hour is sealed already, because the log's clock stepped back, belongs to the first that is not.
func TestCallsBehindASealBelongToTheNextHour(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(1)
	l.seal(noon)
	l.at = noon.Add(30 * time.Minute)
	l.call(2)
	l.prepare(noon, 1).attempt(domain.MeteringSuccess)
	l.seal(noon.Add(time.Hour))
	l.prepare(noon.Add(time.Hour), 2).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: noon.Add(time.Hour), Records: 2, Sent: 2, Accepted: 2}, audit.Account{Counted: 3, Accepted: 3})
}

func TestCarriedUsageIsReportedLater(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.prepare(noon, 3).attempt(domain.MeteringThrottled).expire()
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Carried: 1}, audit.Account{Counted: 3, CarriedOpen: 3})
	if months := audited(&l.logbook).Months(); len(months) != 1 || months[0].Carried != 3 {
		t.Errorf("months: %+v", months)
	}
	next := domain.UsageHour(l.at)
	l.call(1)
	l.seal(next)
	l.prepare(next, 1, domain.CarriedUsage{Hour: noon, Quantity: 3}).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: next, Records: 2, Sent: 2, Carried: 1, Accepted: 1}, audit.Account{Counted: 4, Accepted: 4})
}

func TestWhatNoHourCanReportIsWrittenOff(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.write(domain.UsageEndStream(l.id), domain.SubscriptionUsageSealed{SubscriptionID: l.id, Hour: noon, SealedAt: l.at})
	l.call(2) // a node that had not heard of the end
	r := l.prepare(noon, 3)
	l.wants(audit.Settlement{Records: 1, Open: 1}, audit.Account{Counted: 5, Pending: 3, WrittenOff: 2})
	r.attempt(domain.MeteringTimestampRefused) // carries into an hour that is not to come
	l.wants(audit.Settlement{Records: 1, Sent: 1, Carried: 1}, audit.Account{Counted: 5, WrittenOff: 5})
}

func TestRejectedRecordsAreWrittenOff(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.prepare(noon, 3).attempt(domain.MeteringDuplicate)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Rejected: 1}, audit.Account{Counted: 3, WrittenOff: 3})
	if months := audited(&l.logbook).Months(); len(months) != 1 || months[0].WrittenOff != 3 {
		t.Errorf("months: %+v", months)
	}
}

func TestAnOperatorMayCarryWhatWasSent(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	r := l.prepare(noon, 3).attempt(domain.MeteringUnknown).attempt(domain.MeteringLicenceRefused)
	events, err := r.state.Resolve(domain.ResolveCarry, "", "not in CloudTrail", l.state.Status, l.at)
	if err != nil {
		t.Fatal(err)
	}
	l.actor = domain.ActorOperator
	r.write(events...)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Repeated: 1, Carried: 1}, audit.Account{Counted: 3, CarriedOpen: 3})
}

// Accounts and months stand in the order of their subscriptions, and months in theirs.
func TestAccountsAreInOrder(t *testing.T) {
	t.Parallel()
	log := &logbook{}
	first, second := uuid.UUID{15: 1}, uuid.UUID{15: 2}
	november, december := domain.MonthOf(noon), domain.MonthOf(noon).Next()
	for _, id := range []uuid.UUID{second, first} {
		log.write(domain.SubscriptionStream(id), domain.SubscriptionStarted{SubscriptionID: id, Limit: 10})
		for _, month := range []domain.Month{december, november} {
			event, err := domain.UsageMonth{Month: month}.Count(domain.Subscription{ID: id, Status: domain.StatusActive, Limit: 10}, 0, domain.Check{At: month.Start()})
			if err != nil {
				t.Fatal(err)
			}
			log.write(domain.UsageStream(id, month), event)
		}
	}
	a := audited(log)
	var got []string
	for _, m := range a.Months() {
		got = append(got, m.SubscriptionID.String()[35:]+" "+m.Month.String())
	}
	for _, account := range a.Settle().Accounts {
		got = append(got, account.SubscriptionID.String()[35:])
	}
	if diff := cmp.Diff([]string{"1 2026-11", "1 2026-12", "2 2026-11", "2 2026-12", "1", "2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever contradicts the rules of metering is found, where it stands.
func TestAuditFindsWhatMeteringMustNotDo(t *testing.T) {
	t.Parallel()
	next := noon.Add(time.Hour)
	reprepared := func(r *preparedRecord, change func(*domain.UsageRecordPrepared)) {
		prepared := r.state.UsageRecordPrepared
		prepared.Carried = nil
		change(&prepared)
		r.log.logbook.write(prepared.Stream(), prepared)
	}
	findsTampering(t, map[string]tampering{
		"hours in another order": {func(l *meteredLog) { l.seal(next); l.seal(noon); l.seal(next) }, []string{
			"sealedhours@1: hour 2026112212 is sealed behind hour 2026112213",
		}},
		"an hour twice": {func(l *meteredLog) { l.seal(noon); l.seal(noon) }, []string{
			"sealedhours@1: hour 2026112212 is sealed behind hour 2026112212",
		}},
		"a record before its hour is sealed": {func(l *meteredLog) { l.prepare(noon, 3) }, []string{
			"metering@0: record metering-ID-2026112212-starter_over is prepared before its hour is sealed",
		}},
		"a record of the last hour of an ended subscription": {func(l *meteredLog) {
			l.write(domain.UsageEndStream(l.id), domain.SubscriptionUsageSealed{SubscriptionID: l.id, Hour: noon})
			l.prepare(noon, 3)
		}, nil},
		"a record twice": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3)
			reprepared(r, func(*domain.UsageRecordPrepared) {})
		}, []string{
			"metering@1: record metering-ID-2026112212-starter_over is prepared twice",
		}},
		"two records of an hour": {func(l *meteredLog) {
			l.seal(noon)
			reprepared(l.prepare(noon, 3), func(p *domain.UsageRecordPrepared) {
				p.UsageRecordKey = domain.NewUsageRecordKey(l.id, noon, domain.PlanStarter, "other_over")
			})
		}, []string{
			"metering@0: hour 2026112212 has two records",
			"@0: -3 calls are neither reported nor accounted for",
		}},
		"a record that says fewer calls": {func(l *meteredLog) { l.seal(noon); l.prepare(noon, 2) }, []string{
			"metering@0: record metering-ID-2026112212-starter_over says 2 counted and 2 in all; the log holds 3 counted and 0 carries",
			"@0: 1 calls are neither reported nor accounted for",
		}},
		"a record that carries what nobody did": {func(l *meteredLog) {
			l.seal(noon)
			l.prepare(noon, 3, domain.CarriedUsage{Hour: noon.Add(-time.Hour), Quantity: 1})
		}, []string{
			"metering@0: record metering-ID-2026112212-starter_over says 3 counted and 4 in all; the log holds 3 counted and 0 carries",
			"@0: -1 calls are neither reported nor accounted for",
		}},
		"a record whose sum is wrong": {func(l *meteredLog) {
			l.seal(noon)
			key := domain.NewUsageRecordKey(l.id, noon, domain.PlanStarter, "starter_over")
			l.write(key.Stream(), stamped(domain.UsageRecordPrepared{UsageRecordKey: key, Counted: 3, Quantity: 4, ProductCode: identity.ProductCode}))
		}, []string{
			"metering@0: record metering-ID-2026112212-starter_over says 3 counted and 4 in all; the log holds 3 counted and 0 carries",
			"@0: -1 calls are neither reported nor accounted for",
		}},
		"another record carried": {func(l *meteredLog) {
			l.seal(noon)
			l.prepare(noon, 3).expire()
			later := domain.UsageHour(l.at)
			l.seal(later)
			l.prepare(later, 0, domain.CarriedUsage{Hour: next, Quantity: 3})
		}, []string{
			"metering@0: record metering-ID-2026112312-starter_over says 0 counted and 3 in all; the log holds 0 counted and 1 carries",
		}},
		"another quantity carried": {func(l *meteredLog) {
			l.seal(noon)
			l.prepare(noon, 3).expire()
			later := domain.UsageHour(l.at)
			l.seal(later)
			l.prepare(later, 0, domain.CarriedUsage{Hour: noon, Quantity: 2})
		}, []string{
			"metering@0: record metering-ID-2026112312-starter_over says 0 counted and 2 in all; the log holds 0 counted and 1 carries",
			"@0: 1 calls are neither reported nor accounted for",
		}},
		"an attempt of nothing": {func(l *meteredLog) {
			key := domain.NewUsageRecordKey(l.id, noon, domain.PlanStarter, "starter_over")
			l.write(key.Stream(), domain.UsageRecordAttempted{UsageRecordKey: key})
		}, []string{"metering@0: UsageRecordAttempted of metering-ID-2026112212-starter_over, which is not prepared"}},
		"a record accepted twice": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).attempt(domain.MeteringSuccess)
			r.write(domain.UsageRecordAccepted{UsageRecordKey: r.state.UsageRecordKey, Outcome: domain.MeteringSuccess, Quantity: 3})
		}, []string{"metering@3: UsageRecordAccepted of metering-ID-2026112212-starter_over, which is accepted"}},
		"a record sent again after the end": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).attempt(domain.MeteringSuccess)
			r.write(domain.UsageRecordAttempted{UsageRecordKey: r.state.UsageRecordKey, Attempt: 2}, domain.UsageRecordDeferred{UsageRecordKey: r.state.UsageRecordKey})
		}, []string{
			"metering@3: UsageRecordAttempted of metering-ID-2026112212-starter_over, which is accepted",
			"metering@4: UsageRecordDeferred of metering-ID-2026112212-starter_over, which is accepted",
		}},
		"a closed record quarantined": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).attempt(domain.MeteringDuplicate)
			r.write(domain.UsageRecordQuarantined{UsageRecordKey: r.state.UsageRecordKey, Quantity: 3})
		}, []string{"metering@3: UsageRecordQuarantined of metering-ID-2026112212-starter_over, which is rejected"}},
		"a closed record rejected": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).attempt(domain.MeteringSuccess)
			r.write(domain.UsageRecordRejected{UsageRecordKey: r.state.UsageRecordKey, Quantity: 3})
		}, []string{"metering@3: UsageRecordRejected of metering-ID-2026112212-starter_over, which is accepted"}},
		"a quantity that is not the record's": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3)
			r.write(domain.UsageRecordAccepted{UsageRecordKey: r.state.UsageRecordKey, Outcome: domain.MeteringSuccess, Quantity: 2})
		}, []string{"metering@1: UsageRecordAccepted of metering-ID-2026112212-starter_over says 2; it was prepared with 3"}},
		"a record carried that may have been billed": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).attempt(domain.MeteringUnknown)
			r.write(domain.UsageCarriedOver{UsageRecordKey: r.state.UsageRecordKey, Quantity: 3})
		}, []string{"metering@2: record metering-ID-2026112212-starter_over is carried although an attempt may have been billed"}},
		"a record carried for its age although an earlier attempt may have been billed": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).attempt(domain.MeteringUnknown).attempt(domain.MeteringUnknown)
			r.write(domain.UsageCarriedOver{UsageRecordKey: r.state.UsageRecordKey, Quantity: 3, Outcome: domain.MeteringTimestampRefused})
		}, []string{"metering@3: record metering-ID-2026112212-starter_over is carried although an attempt may have been billed"}},
		"a record carried for its age": {func(l *meteredLog) {
			l.seal(noon)
			l.prepare(noon, 3).attempt(domain.MeteringTimestampRefused)
		}, nil},
		"a record carried twice": {func(l *meteredLog) {
			l.seal(noon)
			r := l.prepare(noon, 3).expire()
			r.write(domain.UsageCarriedOver{UsageRecordKey: r.state.UsageRecordKey, Quantity: 3})
		}, []string{"metering@2: UsageCarriedOver of metering-ID-2026112212-starter_over, which is carried"}},
		"a call beyond the plan in another stream": {func(l *meteredLog) {
			stray := l.events[3].Event.(domain.CheckCompleted)
			l.write("usage-stray", stray)
		}, []string{
			"usage@0: a call of 2026-11 stands outside its stream usage-ID-202611",
			"@0: -1 calls are neither reported nor accounted for",
		}},
		"a record of a subscription that nobody knows": {func(l *meteredLog) {
			l.seal(noon)
			other := uuid.UUID{15: 1}
			key := domain.NewUsageRecordKey(other, noon, domain.PlanStarter, "starter_over")
			l.write(key.Stream(), stamped(domain.UsageRecordPrepared{UsageRecordKey: key, Counted: 1, Quantity: 1}))
		}, []string{
			"metering@0: record metering-00000000-0000-0000-0000-000000000001-2026112212-starter_over says 1 counted and 1 in all; the log holds 0 counted and 0 carries",
			"@0: -1 calls are neither reported nor accounted for",
		}},
	})
}

// What goes on after its usage was sealed is counted for the next hour, and a seal from before closes nothing more.
func TestReinstatedUsageIsCountedOn(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.change(domain.SubscriptionEnded{SubscriptionID: l.id, EndedAt: l.at})
	sealed := domain.SubscriptionUsageSealed{SubscriptionID: l.id, Hour: noon, SealedAt: l.at}
	l.write(domain.UsageEndStream(l.id), sealed)
	l.change(domain.SubscriptionReinstated{SubscriptionID: l.id, Why: "why", ReinstatedAt: l.at})
	l.prepare(noon, 3).attempt(domain.MeteringSuccess) // as the seal has left it
	l.at = noon.Add(30 * time.Minute)
	l.call(2)
	l.write(domain.UsageEndStream(l.id), sealed) // of a worker that had not heard of it
	l.call(1)
	l.wants(audit.Settlement{Records: 1, Sent: 1, Accepted: 1}, audit.Account{Counted: 6, Accepted: 3, Pending: 3})
	l.seal(noon)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Accepted: 1}, audit.Account{Counted: 6, Accepted: 3, Pending: 3})
	next := noon.Add(time.Hour)
	l.seal(next)
	r := l.prepare(next, 3)
	l.change(domain.SubscriptionEnded{SubscriptionID: l.id, EndedAt: l.at})
	l.write(domain.UsageEndStream(l.id), domain.SubscriptionUsageSealed{SubscriptionID: l.id, Hour: next.Add(time.Hour), End: 2, SealedAt: l.at})
	r.attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: next, Records: 2, Sent: 2, Accepted: 2}, audit.Account{Counted: 6, Accepted: 6})
	var changes []string
	for _, change := range audited(&l.logbook).Changes() {
		changes = append(changes, change.What)
	}
	if !slices.Contains(changes, "subscription reinstated: why") {
		t.Errorf("the audit does not tell of the reinstatement: %v", changes)
	}
}
