package domain

import (
	"time"

	"github.com/google/uuid"
)

// Bounds of what a customer may set.
const (
	DefaultWarnPercent = 80
	DefaultStepPercent = 50
	LeastWarnPercent   = 50
	MostWarnPercent    = 99
	LeastStepPercent   = 10
	MostStepPercent    = 1000
)

// NotificationsChanged says what a customer wants to be told by mail about usage.
type NotificationsChanged struct {
	CustomerID  uuid.UUID `json:"customerId"`
	UsageMails  bool      `json:"usageMails"`
	WarnPercent int64     `json:"warnPercent"` // of the plan's limit, from where on there are warnings
	StepPercent int64     `json:"stepPercent"` // beyond the limit, from one to the next
	ChangedAt   time.Time `json:"changedAt"`
}

// EventType names the event in the log.
func (NotificationsChanged) EventType() string { return "NotificationsChanged" }

func registerNotificationEvents(r *Registry) {
	register[NotificationsChanged](r, CategoryNotifications)
}

// NotificationSettings is what a customer wants to be told. The zero value is what holds until they say otherwise.
type NotificationSettings struct {
	UsageMailsOff bool
	ChangedAt     time.Time

	warn, step int64
}

// Fold returns the state after one more event.
func (s NotificationSettings) Fold(event Event) NotificationSettings {
	if e, ok := event.(NotificationsChanged); ok {
		return NotificationSettings{UsageMailsOff: !e.UsageMails, warn: e.WarnPercent, step: e.StepPercent, ChangedAt: e.ChangedAt}
	}
	return s
}

// WarnPercent returns from which share of the plan's limit on there are warnings.
func (s NotificationSettings) WarnPercent() int64 {
	if s.warn == 0 {
		return DefaultWarnPercent
	}
	return s.warn
}

// StepPercent returns how far beyond the limit one threshold is from the next.
func (s NotificationSettings) StepPercent() int64 {
	if s.step == 0 {
		return DefaultStepPercent
	}
	return s.step
}

// Change sets what the customer wants to be told. What holds already is not recorded again.
func (s NotificationSettings) Change(to NotificationsChanged, at time.Time) ([]Event, error) {
	var wrong FieldErrors
	if to.WarnPercent < LeastWarnPercent || to.WarnPercent > MostWarnPercent {
		wrong = append(wrong,
			Invalid("warnPercent", "Enter a share of the plan from %d to %d percent.", LeastWarnPercent, MostWarnPercent))
	}
	if to.StepPercent < LeastStepPercent || to.StepPercent > MostStepPercent {
		wrong = append(wrong,
			Invalid("stepPercent", "Enter a step from %d to %d percent of the plan.", LeastStepPercent, MostStepPercent))
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	if to.UsageMails == !s.UsageMailsOff && to.WarnPercent == s.WarnPercent() && to.StepPercent == s.StepPercent() {
		return nil, nil
	}
	to.ChangedAt = at.UTC()
	return []Event{to}, nil
}

// thresholds lists those that a number of calls has reached, lowest first.
func (s NotificationSettings) thresholds(calls, limit int64) []int64 {
	var list []int64
	for percent := s.WarnPercent(); reached(percent, calls, limit); percent = s.next(percent) {
		list = append(list, percent)
	}
	return list
}

// next returns the threshold that follows one.
func (s NotificationSettings) next(percent int64) int64 {
	if percent < 100 {
		return 100
	}
	return percent + s.StepPercent()
}
