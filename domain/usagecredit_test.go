package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestUsageCredits(t *testing.T) {
	t.Parallel()
	month := domain.MonthOf(noon)
	active := domain.Subscription{ID: id(1), CustomerID: id(2), Status: domain.StatusActive}
	used := domain.UsageMonth{Month: month, Included: 1000, Overage: 7}
	credited := func(calls, total int64) domain.Event {
		return domain.UsageCredited{SubscriptionID: id(1), CustomerID: id(2), Month: month, Calls: calls, Total: total, Why: "ticket 42", CreditedAt: noon}
	}
	type state = domain.UsageCredits
	credit := func(s domain.Subscription, calls int64, why string) func(state) ([]domain.Event, error) {
		return func(c state) ([]domain.Event, error) {
			return c.Credit(s, used, calls, why, noon.In(time.FixedZone("", 3600)))
		}
	}
	ended, unknown := active, domain.Subscription{}
	ended.Status = domain.StatusEnded
	play(t, []scenario[state]{
		{name: "one call", when: credit(active, 1, "ticket 42"), then: []domain.Event{credited(1, 1)}},
		{name: "all that were counted beyond the plan", when: credit(active, 7, " ticket 42\n"), then: []domain.Event{credited(7, 7)}},
		{name: "after the end", when: credit(ended, 7, "ticket 42"), then: []domain.Event{credited(7, 7)}},
		{name: "more than were counted", when: credit(active, 8, "ticket 42"), refused: domain.Invalid("calls", "")},
		{name: "what is left", given: []domain.Event{credited(3, 3), credited(2, 5)}, when: credit(active, 2, "ticket 42"), then: []domain.Event{credited(2, 7)}},
		{name: "more than is left", given: []domain.Event{credited(3, 3), credited(2, 5)}, when: credit(active, 3, "ticket 42"), refused: domain.Invalid("calls", "")},
		{name: "none", when: credit(active, 0, "ticket 42"), refused: domain.Invalid("calls", "")},
		{name: "fewer than none", when: credit(active, -1, "ticket 42"), refused: domain.Invalid("calls", "")},
		{name: "without a reason", when: credit(active, 1, " \t"), refused: domain.Invalid("why", "")},
		{name: "with a novel", when: credit(active, 1, strings.Repeat("x", 501)), refused: domain.Invalid("why", "")},
		{name: "of nobody", when: credit(unknown, 1, "ticket 42"), refused: &domain.Error{Code: "unknown_subscription"}},
	})
	if _, err := (state{}).Credit(active, used, 1, strings.Repeat("x", 500), noon); err != nil {
		t.Errorf("a long reason: %v", err)
	}
}

// What a credit takes off a sealed hour is not reported.
func TestACreditLowersARecord(t *testing.T) {
	t.Parallel()
	s := domain.Subscription{ID: id(1), Status: domain.StatusActive, StartedAt: noon.Add(-time.Hour)}
	usage := domain.SealedUsage{SubscriptionID: id(1), Hour: noon, Plan: domain.PlanStarter, Counted: 5, Carried: []domain.CarriedUsage{{Hour: noon.Add(-time.Hour), Quantity: 3}}}
	for credited, want := range map[int64]int64{0: 8, 1: 7, 5: 3, 8: 0} {
		usage.Credited = credited
		events, err := domain.UsageRecord{}.Prepare(s, usage, domain.MeteringTarget{Dimension: "starter_over"}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if p := events[0].(domain.UsageRecordPrepared); p.Quantity != want || p.Credited != credited || p.Counted != 5 || usage.Quantity() != want {
			t.Errorf("%d credited: %+v, want %d", credited, p, want)
		}
	}
	usage.Credited = 9
	if events, err := (domain.UsageRecord{}).Prepare(s, usage, domain.MeteringTarget{Dimension: "starter_over"}, noon); err == nil {
		t.Errorf("a record below 0: %+v", events)
	}
}
