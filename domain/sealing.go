package domain

import (
	"time"

	"github.com/google/uuid"
)

// Rules of metered hours:
//  1. An HourSealed closes its hour, and every hour before it, for everything that stands before it in the log.
//  2. What is counted belongs to the UTC hour of its commit; when that hour is closed already, because a clock stepped
//     back, to the first hour that is not. So an hour is a function of the log alone, and nothing can arrive late.
//  3. Hours are sealed in order, one event each, after their end.
//  4. SubscriptionUsageSealed closes whatever hours of an ended subscription are open. What is counted behind it is
//     written off: its agreement has no later hour. It closes nothing where the subscription has been reinstated before it.
//  5. A reinstated subscription counts for the first hour that neither kind of seal has closed.

// HourSealed says that an hour is over: its counted calls stand before this event in the log.
type HourSealed struct {
	Hour     time.Time `json:"hour"` // its start
	SealedAt time.Time `json:"sealedAt"`
}

// SubscriptionUsageSealed says that all usage of an ended subscription stands before this event. Its hour is closed for the
// subscription; behind a reinstatement it closes nothing.
type SubscriptionUsageSealed struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Hour           time.Time `json:"hour"`          // the hour that was open
	End            int       `json:"end,omitempty"` // which end of the subscription it is for: 2, 3, …; 0 for the first
	SealedAt       time.Time `json:"sealedAt"`
}

// EventType names the event in the log.
func (HourSealed) EventType() string { return "HourSealed" }

// EventType names the event in the log.
func (SubscriptionUsageSealed) EventType() string { return "SubscriptionUsageSealed" }

func registerSealingEvents(r *Registry) {
	register[HourSealed](r, CategorySealedHours)
	register[SubscriptionUsageSealed](r, CategoryUsageEnd)
}

// MeteringHour is the hour that something committed at a time belongs to, when sealed is the newest hour closed before it
// in the log; the zero time when none is.
func MeteringHour(recordedAt, sealed time.Time) time.Time {
	hour := UsageHour(recordedAt)
	if sealed.IsZero() || hour.After(sealed) {
		return hour
	}
	return sealed.Add(time.Hour)
}

// SealedHours is the state of one month's stream of sealed hours.
type SealedHours struct {
	Last time.Time // the newest sealed hour, zero when none is
}

// Fold returns the state after one more event.
func (s SealedHours) Fold(event Event) SealedHours {
	if e, ok := event.(HourSealed); ok {
		s.Last = e.Hour
	}
	return s
}

// Seal closes the hours of one month that end by until, one after the other. Previous is the newest hour sealed in an
// earlier month; where none ever was, only the newest hour that is over is sealed: it closes those before it too.
func (s SealedHours) Seal(month Month, previous, until, at time.Time) []Event {
	last := s.Last
	if last.IsZero() {
		last = previous
	}
	end := UsageHour(until)
	if month.End().Before(end) {
		end = month.End()
	}
	next := last.Add(time.Hour)
	if last.IsZero() {
		next = UsageHour(until).Add(-time.Hour)
	}
	if next.Before(month.Start()) {
		next = month.Start()
	}
	var events []Event
	for hour := next; hour.Before(end); hour = hour.Add(time.Hour) {
		events = append(events, HourSealed{Hour: hour, SealedAt: at.UTC()})
	}
	return events
}

// UsageEnd is the state of the stream that ends a subscription's usage.
type UsageEnd struct {
	Ends int // for how many ends of the subscription its usage is sealed
}

// Fold returns the state after one more event.
func (u UsageEnd) Fold(event Event) UsageEnd {
	if e, ok := event.(SubscriptionUsageSealed); ok {
		u.Ends = max(u.Ends, e.End, 1)
	}
	return u
}

// Seal ends the usage of a subscription, once for each of its ends. One that does not stand ended has no open end.
func (u UsageEnd) Seal(s Subscription, at time.Time) []Event {
	if s.Status != StatusEnded || u.Ends >= s.Ends {
		return nil
	}
	sealed := SubscriptionUsageSealed{SubscriptionID: s.ID, Hour: UsageHour(at), SealedAt: at.UTC()}
	if s.Ends > 1 {
		sealed.End = s.Ends
	}
	return []Event{sealed}
}

// ClosedBy returns the newest hour of a subscription that the seal of its usage closes, given the newest that was closed for
// it before.
func (e SubscriptionUsageSealed) ClosedBy(recordedAt, closed time.Time) time.Time {
	open := MeteringHour(recordedAt, closed)
	if e.Hour.After(open) {
		return UsageHour(e.Hour)
	}
	return open
}
