package domain

import (
	"time"

	"github.com/google/uuid"
)

// Rules of usage notices:
//  1. A threshold is a share of the plan's monthly limit in percent: where warnings begin, 100, and every step beyond.
//  2. Each is told once in a month of a plan. A plan change arms all of them anew.
//  3. Of those that were passed already when the plan changed, only the highest is told; of those that were passed when the
//     customer set them, none is.
//  4. Who passes several at once is told of each, unless there are so many that nobody would read them: then of the highest.
//  5. Nothing is told while the customer has switched it off, or after the subscription's end.

// UsageThresholdReached says that a month's counted calls have reached a share of the plan's limit. The owners are told, of
// each share once per plan.
type UsageThresholdReached struct {
	SubscriptionID uuid.UUID     `json:"subscriptionId"`
	CustomerID     uuid.UUID     `json:"customerId"`
	Month          Month         `json:"month"`
	Percent        int64         `json:"percent"`
	Counted        int64         `json:"counted"` // when it was noticed, at least the threshold
	Plan           PlanID        `json:"plan"`
	Limit          int64         `json:"limit"`
	PlanChanges    int           `json:"planChanges,omitempty"` // how often the plan had changed: which plan's threshold it is
	Overage        OveragePolicy `json:"overage"`
	Ceiling        int64         `json:"ceiling,omitempty"`
	ReachedAt      time.Time     `json:"reachedAt"`
}

// EventType names the event in the log.
func (UsageThresholdReached) EventType() string { return "UsageThresholdReached" }

func registerUsageNoticeEvents(r *Registry) { register[UsageThresholdReached](r, CategoryUsageNotices) }

// PlanTerm is a subscription, with which of its plans it is on.
type PlanTerm struct {
	Subscription
	Changes   int       // of the plan, so far
	ChangedIn uint64    // the revision of the newest of them; 0 when there is none
	ChangedAt time.Time // when that was

	events uint64
}

// Fold returns the state after one more event.
func (t PlanTerm) Fold(event Event) PlanTerm {
	t.Subscription = t.Subscription.Fold(event)
	if e, ok := event.(PlanChanged); ok {
		t.Changes++
		t.ChangedIn, t.ChangedAt = t.events, e.ChangedAt
	}
	t.events++
	return t
}

// UsageNotices is the state of what was told of one month.
type UsageNotices struct {
	PlanChanges int   // of the newest plan that something was told of
	Percent     int64 // the highest threshold told of it; 0 when none was
}

// Fold returns the state after one more event.
func (n UsageNotices) Fold(event Event) UsageNotices {
	if e, ok := event.(UsageThresholdReached); ok {
		return UsageNotices{PlanChanges: e.PlanChanges, Percent: e.Percent}
	}
	return n
}

// mostNotices is how many thresholds are told of at a time.
const mostNotices = 10

// Armed is how many calls of the month were counted already when thresholds were armed.
type Armed struct {
	ByPlan     int64 // by the newest plan change
	BySettings int64 // by the newest change of what the customer wants to be told
}

// Reach tells of the thresholds that a month's usage has reached and nobody was told of, lowest first.
func (n UsageNotices) Reach(term PlanTerm, usage UsageMonth, settings NotificationSettings, armed Armed, at time.Time) []Event {
	if settings.UsageMailsOff || !term.Serves() || term.Limit <= 0 {
		return nil
	}
	told := int64(0)
	if n.PlanChanges == term.Changes {
		told = n.Percent
	}
	silent := armed.BySettings
	if settings.ChangedAt.Before(term.ChangedAt) {
		silent = 0
	}
	var due []int64
	passedBefore := 0
	for _, percent := range settings.thresholds(usage.Counted(), term.Limit) {
		if percent <= told || reached(percent, silent, term.Limit) {
			continue
		}
		if reached(percent, armed.ByPlan, term.Limit) {
			due, passedBefore = []int64{percent}, 1
			continue
		}
		due = append(due, percent)
	}
	if len(due)-passedBefore > mostNotices {
		due = due[len(due)-1:]
	}
	var events []Event
	for _, percent := range due {
		events = append(events, UsageThresholdReached{
			SubscriptionID: term.ID, CustomerID: term.CustomerID, Month: usage.Month, Percent: percent, Counted: usage.Counted(),
			Plan: term.Plan, Limit: term.Limit, PlanChanges: term.Changes,
			Overage: term.Overage, Ceiling: term.Ceiling, ReachedAt: at.UTC(),
		})
	}
	return events
}

// reached returns whether a number of calls is a share of the limit, or more.
func reached(percent, calls, limit int64) bool { return calls > 0 && calls*100 >= limit*percent }
