package audit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// credit credits calls of the month that the log's clock is in, whatever was counted.
func (l *meteredLog) credit(calls int64) {
	l.creditOf(domain.MonthOf(l.at), calls)
}

func (l *meteredLog) creditOf(month domain.Month, calls int64) {
	stream, total := domain.UsageCreditsStream(l.id, month), calls
	for _, r := range l.events {
		if e, ok := r.Event.(domain.UsageCredited); ok && r.Stream == stream {
			total += e.Calls
		}
	}
	l.write(stream, domain.UsageCredited{SubscriptionID: l.id, Month: month, Calls: calls, Total: total, Why: "ticket 42", CreditedAt: l.at})
}

// creditsAre compares what months say of their credits: credited and to be refunded, in the order of the months.
func (l *meteredLog) creditsAre(want ...int64) {
	l.Helper()
	var got []int64
	for _, m := range audited(&l.logbook).Months() {
		got = append(got, m.Credited, m.Refund)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("credited and to be refunded (-want +got):\n%s", diff)
	}
}

func TestACreditLowersWhatIsNotSealed(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(5)
	l.credit(2)
	l.wants(audit.Settlement{}, audit.Account{Counted: 5, Pending: 5})
	l.creditsAre(2, 0)
	l.seal(noon)
	l.wants(audit.Settlement{SealedHour: noon}, audit.Account{Counted: 5, Pending: 3, Credited: 2})
	l.prepareOf(domain.PlanStarter, noon, 5, 2).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Accepted: 1}, audit.Account{Counted: 5, Accepted: 3, Credited: 2})
	l.creditsAre(2, 0)
}

// What is sealed where the credit stands is reported; the hours after it take the credit up, none more than it holds, and what
// none takes up is to be refunded.
func TestACreditIsSpentHourByHour(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(5)
	l.seal(noon)
	l.credit(5)
	l.creditsAre(5, 5)
	l.prepare(noon, 5).attempt(domain.MeteringSuccess)
	l.call(2)
	l.creditsAre(5, 3)
	l.seal(noon.Add(time.Hour))
	l.prepareOf(domain.PlanStarter, noon.Add(time.Hour), 2, 2).attempt(domain.MeteringSuccess)
	l.creditsAre(5, 3)
	l.call(1)
	l.credit(1)
	l.seal(noon.Add(2 * time.Hour))
	l.prepareOf(domain.PlanStarter, noon.Add(2*time.Hour), 1, 1).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: noon.Add(2 * time.Hour), Records: 3, Sent: 3, Accepted: 3},
		audit.Account{Counted: 8, Accepted: 5, Credited: 3, Refund: 3})
	l.creditsAre(6, 3)
}

// An hour that several plans were used in, and that has usage of an earlier one, is lowered plan by plan.
func TestACreditOfAnHourWithSeveralPlans(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.prepare(noon, 3).attempt(domain.MeteringThrottled).expire()
	hour := domain.UsageHour(l.at)
	l.call(2)
	l.change(domain.PlanChanged{SubscriptionID: l.id, FromPlan: domain.PlanStarter, Plan: domain.PlanBusiness})
	l.call(4)
	l.credit(6)
	l.seal(hour)
	l.wants(audit.Settlement{SealedHour: hour, Records: 1, Sent: 1, Carried: 1}, audit.Account{Counted: 9, CarriedOpen: 3, Credited: 6})
	l.creditsAre(6, 0)
	l.call(4)
	l.credit(5)
	l.credit(1)
	later := domain.UsageHour(l.at)
	l.seal(later)
	carried := domain.CarriedUsage{Hour: noon, Quantity: 3}
	l.prepareOf(domain.PlanBusiness, hour, 4, 4).attempt(domain.MeteringSuccess)
	l.prepareOf(domain.PlanStarter, hour, 2, 2, carried).attempt(domain.MeteringSuccess)
	l.prepareOf(domain.PlanBusiness, later, 4, 4).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: later, Records: 4, Sent: 4, Carried: 1, Accepted: 3}, audit.Account{Counted: 13, Accepted: 3, Credited: 10, Refund: 2})
	l.creditsAre(12, 2)
}

// A credit takes off also what an earlier hour could not report.
func TestACreditLowersWhatIsCarried(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.prepare(noon, 3).attempt(domain.MeteringThrottled).expire()
	l.call(1)
	l.credit(3)
	next := domain.UsageHour(l.at)
	l.seal(next)
	l.wants(audit.Settlement{SealedHour: next, Records: 1, Sent: 1, Carried: 1}, audit.Account{Counted: 4, CarriedOpen: 1, Credited: 3})
	l.prepareOf(domain.PlanStarter, next, 1, 3, domain.CarriedUsage{Hour: noon, Quantity: 3}).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: next, Records: 2, Sent: 2, Carried: 1, Accepted: 1}, audit.Account{Counted: 4, Accepted: 1, Credited: 3})
}

// A credit belongs to its month: no hour of another is lowered by it.
func TestACreditLowersItsMonthAlone(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.at = domain.MonthOf(noon).End().Add(-30 * time.Minute)
	last := domain.UsageHour(l.at)
	l.call(3)
	l.seal(last)
	l.prepare(last, 3).attempt(domain.MeteringSuccess)
	l.at = last.Add(time.Hour + 30*time.Minute)
	l.usage = domain.UsageMonth{}
	l.call(4)
	l.creditOf(domain.MonthOf(noon), 2)
	l.seal(last.Add(time.Hour))
	l.prepare(last.Add(time.Hour), 4)
	l.wants(audit.Settlement{SealedHour: last.Add(time.Hour), Records: 2, Sent: 1, Accepted: 1, Open: 1},
		audit.Account{Counted: 7, Accepted: 3, Pending: 4, Refund: 2})
	l.creditsAre(2, 2, 0, 0)
}

// The end of a subscription seals its open hour: a credit lowers that too, and nothing afterwards.
func TestACreditOfAnEndedSubscription(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	end := domain.SubscriptionUsageSealed{SubscriptionID: l.id, Hour: noon, SealedAt: noon}
	l.call(3)
	l.credit(1)
	l.write(domain.UsageEndStream(l.id), end)
	l.wants(audit.Settlement{}, audit.Account{Counted: 3, Pending: 2, Credited: 1})
	l.credit(1)
	l.call(1) // too late, written off
	l.write(domain.UsageEndStream(l.id), end)
	l.seal(noon)
	l.prepareOf(domain.PlanStarter, noon, 3, 1).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Accepted: 1}, audit.Account{Counted: 4, Accepted: 2, WrittenOff: 1, Credited: 1, Refund: 1})
}

// What was closed at an end stays as it is after a reinstatement, also when its hour is sealed for all.
func TestACreditOfAReinstatedSubscription(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	next := noon.Add(time.Hour)
	l.call(3)
	l.credit(1)
	l.change(domain.SubscriptionEnded{SubscriptionID: l.id, EndedAt: l.at})
	l.write(domain.UsageEndStream(l.id), domain.SubscriptionUsageSealed{SubscriptionID: l.id, Hour: noon, SealedAt: l.at})
	l.change(domain.SubscriptionReinstated{SubscriptionID: l.id, Why: "why", ReinstatedAt: l.at})
	l.credit(2)
	l.wants(audit.Settlement{}, audit.Account{Counted: 3, Pending: 2, Credited: 1, Refund: 2})
	l.seal(noon)
	l.prepareOf(domain.PlanStarter, noon, 3, 1).attempt(domain.MeteringSuccess)
	l.call(1)
	l.wants(audit.Settlement{SealedHour: noon, Records: 1, Sent: 1, Accepted: 1}, audit.Account{Counted: 4, Accepted: 2, Pending: 1, Credited: 1, Refund: 1})
	l.seal(next)
	l.prepareOf(domain.PlanStarter, next, 1, 1).attempt(domain.MeteringSuccess)
	l.wants(audit.Settlement{SealedHour: next, Records: 2, Sent: 2, Accepted: 2}, audit.Account{Counted: 4, Accepted: 2, Credited: 2, Refund: 1})
	l.creditsAre(3, 1)
}

// What AWS does not bill is not refunded there.
func TestWhatIsWrittenOffIsNotRefunded(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.prepare(noon, 3).attempt(domain.MeteringDuplicate)
	l.call(2)
	l.seal(noon.Add(time.Hour))
	l.credit(5)
	l.wants(audit.Settlement{SealedHour: noon.Add(time.Hour), Records: 1, Sent: 1, Rejected: 1}, audit.Account{Counted: 5, WrittenOff: 3, Pending: 2, Refund: 2})
}

func TestAuditListsCredits(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.actor = domain.ActorOperator
	l.credit(2)
	changes := audited(&l.logbook).Changes()
	last := changes[len(changes)-1]
	if last.What != "2 calls beyond the plan of 2026-11 credited: ticket 42" || last.Actor != domain.ActorOperator || last.SubscriptionID != l.id {
		t.Errorf("%+v", last)
	}
}

func TestAuditFindsWhatCreditsMustNotDo(t *testing.T) {
	t.Parallel()
	findsTampering(t, map[string]tampering{
		"all that was counted": {func(l *meteredLog) { l.credit(3) }, nil},
		"more than was counted": {func(l *meteredLog) { l.credit(2); l.credit(2) }, []string{
			"usagecredits@1: 4 calls of 2026-11 are credited; 3 were counted beyond the plan",
		}},
		"of another month": {func(l *meteredLog) { l.creditOf(domain.MonthOf(noon).Next(), 1) }, []string{
			"usagecredits@0: 1 calls of 2026-12 are credited; 0 were counted beyond the plan",
		}},
		"no calls": {func(l *meteredLog) { l.credit(0) }, []string{
			"usagecredits@0: it credits 0 calls and says 0 in all; the log holds 0",
		}},
		"another sum": {func(l *meteredLog) {
			l.write(domain.UsageCreditsStream(l.id, domain.MonthOf(noon)), domain.UsageCredited{SubscriptionID: l.id, Month: domain.MonthOf(noon), Calls: 1, Total: 2})
		}, []string{"usagecredits@0: it credits 1 calls and says 2 in all; the log holds 1"}},
		"in another stream": {func(l *meteredLog) {
			l.write(domain.UsageCreditsStream(l.id, domain.MonthOf(noon).Next()), domain.UsageCredited{SubscriptionID: l.id, Month: domain.MonthOf(noon), Calls: 1, Total: 1})
		}, []string{"usagecredits@0: a credit of 2026-11 stands outside its stream usagecredits-ID-202611"}},
		"a record that is not lowered": {func(l *meteredLog) { l.credit(2); l.seal(noon); l.prepare(noon, 3) }, []string{
			"metering@0: record metering-ID-2026112212-starter_over is lowered by 0; the log credits it with 2",
			"@0: -2 calls are neither reported nor accounted for",
		}},
		"a record that is lowered without a credit": {func(l *meteredLog) { l.seal(noon); l.credit(1); l.prepareOf(domain.PlanStarter, noon, 3, 1) }, []string{
			"metering@0: record metering-ID-2026112212-starter_over is lowered by 1; the log credits it with 0",
			"@0: 1 calls are neither reported nor accounted for",
		}},
	})
}
