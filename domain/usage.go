package domain

import (
	"time"

	"github.com/google/uuid"
)

// Rules of a month's usage:
//  1. One CheckCompleted per counted call, nothing else in the stream: the count is its length.
//  2. A call whose ordinal is within the plan's limit is included, one beyond it is overage.
//  3. With "stop" the call beyond the limit is refused; with "continue" none is, or with a ceiling the one beyond limit and ceiling.
//  4. Every event carries the totals up to and including itself, so the last one restores the state.

// BillingClass says whether a counted call is part of the plan.
type BillingClass string

// The billing classes.
const (
	BillingIncluded BillingClass = "included"
	BillingOverage  BillingClass = "overage"
)

// CheckCompleted says that a face was judged: one counted call. It holds what the call was decided on and how it was judged;
// what was added to that later is missing in older events.
type CheckCompleted struct {
	CheckID              uuid.UUID     `json:"checkId"`
	CustomerID           uuid.UUID     `json:"customerId"`
	SubscriptionID       uuid.UUID     `json:"subscriptionId"`
	SubscriptionRevision uint64        `json:"subscriptionRevision"` // the state of the subscription it was decided on
	Month                Month         `json:"month"`
	Ordinal              int64         `json:"ordinal"` // 1, 2, … in the month
	Billing              BillingClass  `json:"billing"`
	IncludedTotal        int64         `json:"includedTotal"` // running totals of the month, this call included
	OverageTotal         int64         `json:"overageTotal"`
	Plan                 PlanID        `json:"plan"`
	Limit                int64         `json:"limit"`
	Overage              OveragePolicy `json:"overage"`
	KeySlot              KeySlot       `json:"keySlot"`
	RequestDigest        string        `json:"requestDigest,omitempty"` // keyed hash of the request, only with an Idempotency-Key
	Judgement            Judgement     `json:"judgement"`
	CompletedAt          time.Time     `json:"completedAt"`
}

// EventType names the event in the log.
func (CheckCompleted) EventType() string { return "CheckCompleted" }

func registerUsageEvents(r *Registry) {
	register[CheckCompleted](r, CategoryUsage)
}

// UsageMonth is the state of one month of a subscription.
type UsageMonth struct {
	Month    Month
	Included int64
	Overage  int64
}

// Counted is the number of counted calls.
func (u UsageMonth) Counted() int64 { return u.Included + u.Overage }

// Remaining is what is left of limit.
func (u UsageMonth) Remaining(limit int64) int64 { return max(0, limit-u.Counted()) }

// OverLimit is how many counted calls lie beyond limit.
func (u UsageMonth) OverLimit(limit int64) int64 { return max(0, u.Counted()-limit) }

// Fold returns the state after one more event.
func (u UsageMonth) Fold(event Event) UsageMonth {
	if e, ok := event.(CheckCompleted); ok {
		return UsageMonth{Month: e.Month, Included: e.IncludedTotal, Overage: e.OverageTotal}
	}
	return u
}

// Check is a judged image that wants to be counted.
type Check struct {
	ID            uuid.UUID
	KeySlot       KeySlot
	RequestDigest string
	Judgement     Judgement
	At            time.Time
}

// Admit returns whether one more call may be counted when pending others are already on their way.
func (u UsageMonth) Admit(s Subscription, pending int64) error {
	if !s.Serves() {
		return ErrSubscriptionInactive
	}
	most, bounded := s.MostCalls()
	if !bounded || u.Counted()+pending < most {
		return nil
	}
	if s.Ceiling > 0 {
		return ErrQuotaExceeded.Saying("The ceiling of %d calls beyond the plan's %d is reached. "+
			"Raise it on the console's Plan screen or wait for the next month (UTC).", s.Ceiling, s.Limit)
	}
	return ErrQuotaExceeded
}

// Count decides on one call: the event that counts it, or why it is refused.
func (u UsageMonth) Count(s Subscription, subscriptionRevision uint64, check Check) (CheckCompleted, error) {
	if err := u.Admit(s, 0); err != nil {
		return CheckCompleted{}, err
	}
	event := CheckCompleted{
		CheckID: check.ID, CustomerID: s.CustomerID, SubscriptionID: s.ID, SubscriptionRevision: subscriptionRevision,
		Month: u.Month, Ordinal: u.Counted() + 1, Billing: BillingIncluded, IncludedTotal: u.Included, OverageTotal: u.Overage,
		Plan: s.Plan, Limit: s.Limit, Overage: s.Overage, KeySlot: check.KeySlot, RequestDigest: check.RequestDigest,
		Judgement: check.Judgement, CompletedAt: check.At.UTC(),
	}
	if event.Ordinal > s.Limit {
		event.Billing = BillingOverage
		event.OverageTotal++
	} else {
		event.IncludedTotal++
	}
	return event, nil
}
