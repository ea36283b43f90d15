package domain

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Rules of credits:
//  1. A credit takes calls beyond the plan of one month off what is reported to AWS, by an operator's decision. What was counted
//     stays counted.
//  2. No more is credited than was counted beyond the plan in the month.
//  3. A credit lowers the usage records of its month, the earliest hour first and within it plan by plan, of those hours that are
//     not sealed where it stands in the log. None is lowered below 0. So what an hour reports follows from the log alone.
//  4. What is left of it when the month's last hour is sealed had been reported before: a refund to be made at AWS.

// UsageCredited says that an operator took calls beyond the plan off what is reported of a month.
type UsageCredited struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	CustomerID     uuid.UUID `json:"customerId"`
	Month          Month     `json:"month"`
	Calls          int64     `json:"calls"`
	Total          int64     `json:"total"` // credited in the month, with these
	Why            string    `json:"why"`   // shown to the customer
	CreditedAt     time.Time `json:"creditedAt"`
}

// EventType names the event in the log.
func (UsageCredited) EventType() string { return "UsageCredited" }

func registerCreditEvents(r *Registry) {
	register[UsageCredited](r, CategoryUsageCredits)
}

// UsageCredits is the state of what was credited of one month.
type UsageCredits struct {
	Total int64
}

// Fold returns the state after one more event.
func (c UsageCredits) Fold(event Event) UsageCredits {
	if e, ok := event.(UsageCredited); ok {
		c.Total = e.Total
	}
	return c
}

// maxCreditReason is the longest reason of a credit, in bytes.
const maxCreditReason = 500

// Credit takes calls of a month off what is reported.
func (c UsageCredits) Credit(s Subscription, usage UsageMonth, calls int64, why string, at time.Time) ([]Event, error) {
	why = strings.TrimSpace(why)
	if s.Status == StatusUnknown {
		return nil, &Error{Kind: KindNotFound, Code: "unknown_subscription", Message: "There is no such subscription."}
	}
	if why == "" || len(why) > maxCreditReason {
		return nil, Invalid("why", "Say in up to %d characters why the calls are credited; the customer is shown it.", maxCreditReason)
	}
	if calls < 1 {
		return nil, Invalid("calls", "Credit at least 1 call.")
	}
	if left := usage.Overage - c.Total; calls > left {
		return nil, Invalid("calls", "Of the %d calls that were counted beyond the plan in %s, %d are credited already: no more than %d can be.",
			usage.Overage, usage.Month, c.Total, left)
	}
	return []Event{UsageCredited{
		SubscriptionID: s.ID, CustomerID: s.CustomerID, Month: usage.Month, Calls: calls, Total: c.Total + calls, Why: why, CreditedAt: at.UTC(),
	}}, nil
}
