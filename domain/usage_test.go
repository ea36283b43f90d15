package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestUsageCountsAndClassifies(t *testing.T) {
	t.Parallel()
	month := domain.MonthOf(noon)
	active := domain.Subscription{ID: id(1), CustomerID: id(2), Status: domain.StatusActive, Plan: domain.PlanStarter, Limit: 2, Overage: domain.OverageContinue}
	with := func(change func(*domain.Subscription)) domain.Subscription { s := active; change(&s); return s }
	for _, c := range []struct {
		name            string
		included, over  int64
		subscription    domain.Subscription
		billing         domain.BillingClass
		ordinal         int64
		remaining, past int64
		refused         error
	}{
		{name: "first call", subscription: active, billing: domain.BillingIncluded, ordinal: 1, remaining: 1},
		{name: "last call of the plan", included: 1, subscription: active, billing: domain.BillingIncluded, ordinal: 2},
		{name: "first call beyond", included: 2, subscription: active, billing: domain.BillingOverage, ordinal: 3, past: 1},
		{name: "last call of the plan with stop", included: 1, subscription: with(func(s *domain.Subscription) { s.Overage = domain.OverageStop }), billing: domain.BillingIncluded, ordinal: 2},
		{name: "beyond with stop", included: 2, subscription: with(func(s *domain.Subscription) { s.Overage = domain.OverageStop }), refused: domain.ErrQuotaExceeded},
		{name: "last call below the ceiling", included: 2, over: 2, subscription: with(func(s *domain.Subscription) { s.Ceiling = 3 }), billing: domain.BillingOverage, ordinal: 5, past: 3},
		{name: "beyond the ceiling", included: 2, over: 3, subscription: with(func(s *domain.Subscription) { s.Ceiling = 3 }), refused: domain.ErrQuotaExceeded},
		{name: "a ceiling counts from the new plan", included: 2, over: 3, subscription: with(func(s *domain.Subscription) { s.Limit, s.Ceiling = 4, 3 }),
			billing: domain.BillingOverage, ordinal: 6, past: 2},
		{name: "a ceiling counts from a smaller plan", included: 4, subscription: with(func(s *domain.Subscription) { s.Limit, s.Ceiling = 1, 3 }), refused: domain.ErrQuotaExceeded},
		{name: "ended below the ceiling", subscription: with(func(s *domain.Subscription) { s.Status, s.Ceiling = domain.StatusEnded, 3 }), refused: domain.ErrSubscriptionInactive},
		{name: "after an upgrade", included: 2, over: 3, subscription: with(func(s *domain.Subscription) { s.Limit = 10 }), billing: domain.BillingIncluded, ordinal: 6, remaining: 4},
		{name: "after a downgrade", included: 5, subscription: active, billing: domain.BillingOverage, ordinal: 6, past: 4},
		{name: "cancelled but not ended", subscription: with(func(s *domain.Subscription) { s.Status = domain.StatusEnding }), billing: domain.BillingIncluded, ordinal: 1, remaining: 1},
		{name: "ended", subscription: with(func(s *domain.Subscription) { s.Status = domain.StatusEnded }), refused: domain.ErrSubscriptionInactive},
		{name: "never started", refused: domain.ErrSubscriptionInactive},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := domain.UsageMonth{Month: month, Included: c.included, Overage: c.over}
			event, err := before.Count(c.subscription, 7, domain.Check{ID: id(9), KeySlot: domain.SlotPrimary, At: noon})
			if !errors.Is(err, c.refused) {
				t.Fatalf("refusal: got %v, want %v", err, c.refused)
			}
			if err != nil {
				return
			}
			after := before.Fold(event)
			if event.Billing != c.billing || event.Ordinal != c.ordinal || after.Counted() != before.Counted()+1 ||
				after.Remaining(event.Limit) != c.remaining || after.OverLimit(event.Limit) != c.past || event.SubscriptionRevision != 7 {
				t.Errorf("got %+v, then remaining %d, over %d", event, after.Remaining(event.Limit), after.OverLimit(event.Limit))
			}
		})
	}
}

func TestStopCountsThoseUnderWay(t *testing.T) {
	t.Parallel()
	s := domain.Subscription{Status: domain.StatusActive, Limit: 3, Overage: domain.OverageStop}
	u := domain.UsageMonth{Included: 1}
	if err := u.Admit(s, 1); err != nil {
		t.Errorf("one counted, one under way, limit 3: %v", err)
	}
	if err := u.Admit(s, 2); !errors.Is(err, domain.ErrQuotaExceeded) {
		t.Errorf("one counted, two under way, limit 3: got %v", err)
	}
}

func TestACeilingCountsThoseUnderWay(t *testing.T) {
	t.Parallel()
	s := domain.Subscription{Status: domain.StatusActive, Limit: 1, Overage: domain.OverageContinue, Ceiling: 2}
	u := domain.UsageMonth{Included: 1}
	if err := u.Admit(s, 1); err != nil {
		t.Errorf("one counted, one under way, limit 1 and ceiling 2: %v", err)
	}
	err := u.Admit(s, 2)
	if refused := (*domain.Error)(nil); !errors.Is(err, domain.ErrQuotaExceeded) || !errors.As(err, &refused) || !strings.Contains(refused.Message, "ceiling of 2") {
		t.Errorf("one counted, two under way, limit 1 and ceiling 2: got %v", err)
	}
	s.Overage, s.Ceiling = domain.OverageStop, 0
	if err := u.Admit(s, 0); !errors.As(err, new(*domain.Error)) || err.(*domain.Error).Message != "" { //nolint:errorlint // asserted just before
		t.Errorf("with stop: %v, want the words of whoever answers", err)
	}
}

// The last event alone restores the state; what is none of its events changes nothing.
func TestUsageIsTheLastEvents(t *testing.T) {
	t.Parallel()
	month := domain.MonthOf(noon)
	u := domain.UsageMonth{}.Fold(domain.CheckCompleted{Month: month, IncludedTotal: 3, OverageTotal: 2})
	if want := (domain.UsageMonth{Month: month, Included: 3, Overage: 2}); u != want || u.Fold(domain.LoginSucceeded{}) != want {
		t.Errorf("%+v, then %+v; want %+v", u, u.Fold(domain.LoginSucceeded{}), want)
	}
}
