package domain

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Rules of a subscription:
//  1. It starts once, for a licence of AWS Marketplace; a buyer who returns changes nothing. One whose contract starts later is
//     scheduled until then, and serves nothing yet.
//  2. It begins with over-limit behaviour "continue"; the customer may switch at any time while it lives.
//  3. A plan change takes effect at once, for the whole current month.
//  4. An end is final, unless an operator or a new agreement for the same licence reinstates the subscription.
//  5. What changes nothing records nothing.

// OveragePolicy says what happens to calls beyond the plan's limit.
type OveragePolicy string

// The two behaviours of the over-limit switch.
const (
	OverageContinue OveragePolicy = "continue" // serve and bill them pay-as-you-go
	OverageStop     OveragePolicy = "stop"     // refuse them with quota_exceeded
)

// SubscriptionStatus is where a subscription stands in its life.
type SubscriptionStatus string

// The statuses of a subscription.
const (
	StatusUnknown   SubscriptionStatus = ""          // not started
	StatusScheduled SubscriptionStatus = "scheduled" // bought, and the contract starts later
	StatusActive    SubscriptionStatus = "active"    // serves calls
	StatusEnding    SubscriptionStatus = "ending"    // only in old logs: the buyer has unsubscribed; serves until it ends
	StatusEnded     SubscriptionStatus = "ended"     // serves no calls any more
)

// MarketplaceIdentity is what AWS knows a subscription by.
type MarketplaceIdentity struct {
	AWSAccountID       string `json:"awsAccountId"`
	LicenseARN         string `json:"licenseArn"`
	ProductCode        string `json:"productCode"`
	AgreementID        string `json:"agreementId,omitempty"`        // agmt-…, known once an event linked it
	CustomerIdentifier string `json:"customerIdentifier,omitempty"` // only for listings from before 2026
}

// DisplayID is the Subscription ID that people see: the agreement's when known, else the licence's.
func (m MarketplaceIdentity) DisplayID() string {
	if m.AgreementID != "" {
		return m.AgreementID
	}
	return LicenceID(m.LicenseARN)
}

// SubscriptionScheduled says that a licence was bought and resolved whose contract starts later, or at another time than was
// known.
type SubscriptionScheduled struct {
	SubscriptionID uuid.UUID           `json:"subscriptionId"`
	CustomerID     uuid.UUID           `json:"customerId"`
	Marketplace    MarketplaceIdentity `json:"marketplace"`
	StartsAt       time.Time           `json:"startsAt"`
	ScheduledAt    time.Time           `json:"scheduledAt"`
}

// SubscriptionStarted says that a licence was bought and resolved.
type SubscriptionStarted struct {
	SubscriptionID uuid.UUID           `json:"subscriptionId"`
	CustomerID     uuid.UUID           `json:"customerId"`
	Marketplace    MarketplaceIdentity `json:"marketplace"`
	Plan           PlanID              `json:"plan"`
	Limit          int64               `json:"limit"` // calls per calendar month
	Overage        OveragePolicy       `json:"overage"`
	StartedAt      time.Time           `json:"startedAt"`
	ExpiresAt      time.Time           `json:"expiresAt,omitzero"`
}

// PlanChanged says that the entitlement now names another plan or another number of calls.
type PlanChanged struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	FromPlan       PlanID    `json:"fromPlan"`
	FromLimit      int64     `json:"fromLimit"`
	Plan           PlanID    `json:"plan"`
	Limit          int64     `json:"limit"`
	ChangedAt      time.Time `json:"changedAt"`
}

// OverageSwitched says that the customer chose another over-limit behaviour, or another ceiling of calls beyond the plan.
type OverageSwitched struct {
	SubscriptionID uuid.UUID     `json:"subscriptionId"`
	From           OveragePolicy `json:"from"`
	FromCeiling    int64         `json:"fromCeiling,omitempty"`
	To             OveragePolicy `json:"to"`
	Ceiling        int64         `json:"ceiling,omitempty"` // most calls beyond the plan with "continue"; 0 for no end
	SwitchedAt     time.Time     `json:"switchedAt"`
}

// AgreementLinked says which agreement a licence belongs to.
type AgreementLinked struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	AgreementID    string    `json:"agreementId"`
	LinkedAt       time.Time `json:"linkedAt"`
}

// UnsubscribeRequested says that the buyer has cancelled and the end is near. Calls are still served. It stands in old logs
// only: an announced end is an end.
type UnsubscribeRequested struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	RequestedAt    time.Time `json:"requestedAt"`
}

// SubscriptionRenewed says that the subscription goes on: the term was renewed or a cancellation withdrawn.
type SubscriptionRenewed struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	ExpiresAt      time.Time `json:"expiresAt,omitzero"`
	RenewedAt      time.Time `json:"renewedAt"`
}

// SubscriptionReinstated says that an ended subscription goes on as it was. An operator has decided it, or there is a new
// agreement for the licence.
type SubscriptionReinstated struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Why            string    `json:"why"`
	ReinstatedAt   time.Time `json:"reinstatedAt"`
}

// SubscriptionEnded says that AWS has ended the agreement; nothing is served, counted or metered afterwards.
type SubscriptionEnded struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Reason         string    `json:"reason"`
	EndedAt        time.Time `json:"endedAt"`
}

// EventType names the event in the log.
func (SubscriptionScheduled) EventType() string { return "SubscriptionScheduled" }

// EventType names the event in the log.
func (SubscriptionReinstated) EventType() string { return "SubscriptionReinstated" }

// EventType names the event in the log.
func (SubscriptionStarted) EventType() string { return "SubscriptionStarted" }

// EventType names the event in the log.
func (PlanChanged) EventType() string { return "PlanChanged" }

// EventType names the event in the log.
func (OverageSwitched) EventType() string { return "OverageSwitched" }

// EventType names the event in the log.
func (AgreementLinked) EventType() string { return "AgreementLinked" }

// EventType names the event in the log.
func (UnsubscribeRequested) EventType() string { return "UnsubscribeRequested" }

// EventType names the event in the log.
func (SubscriptionRenewed) EventType() string { return "SubscriptionRenewed" }

// EventType names the event in the log.
func (SubscriptionEnded) EventType() string { return "SubscriptionEnded" }

func registerSubscriptionEvents(r *Registry) {
	register[SubscriptionScheduled](r, CategorySubscription)
	register[SubscriptionReinstated](r, CategorySubscription)
	register[SubscriptionStarted](r, CategorySubscription)
	register[PlanChanged](r, CategorySubscription)
	register[OverageSwitched](r, CategorySubscription)
	register[AgreementLinked](r, CategorySubscription)
	register[UnsubscribeRequested](r, CategorySubscription)
	register[SubscriptionRenewed](r, CategorySubscription)
	register[SubscriptionEnded](r, CategorySubscription)
}

// Subscription is the state of one subscription.
type Subscription struct {
	ID          uuid.UUID
	CustomerID  uuid.UUID
	Marketplace MarketplaceIdentity
	Status      SubscriptionStatus
	Plan        PlanID
	Limit       int64
	Overage     OveragePolicy
	Ceiling     int64     // most calls beyond the plan in a month with OverageContinue; 0 for no end
	StartsAt    time.Time // of a scheduled one
	StartedAt   time.Time
	ExpiresAt   time.Time
	EndedAt     time.Time

	LeftAt       time.Time // when the buyer has left, whether it is ending or has ended; zero while it is neither
	ReinstatedAt time.Time // the last time; zero when it never was
	Ends         int       // how often it has ended
}

// Fold returns the state after one more event. It never refuses: what stands in the log has happened.
func (s Subscription) Fold(event Event) Subscription {
	switch e := event.(type) {
	case SubscriptionScheduled:
		s = Subscription{
			ID: e.SubscriptionID, CustomerID: e.CustomerID, Marketplace: e.Marketplace, Status: StatusScheduled, StartsAt: e.StartsAt,
		}
	case SubscriptionStarted:
		s = Subscription{
			ID: e.SubscriptionID, CustomerID: e.CustomerID, Marketplace: e.Marketplace, Status: StatusActive,
			Plan: e.Plan, Limit: e.Limit, Overage: e.Overage, StartedAt: e.StartedAt, ExpiresAt: e.ExpiresAt,
		}
	case PlanChanged:
		s.Plan, s.Limit = e.Plan, e.Limit
	case OverageSwitched:
		s.Overage, s.Ceiling = e.To, e.Ceiling
	case AgreementLinked:
		s.Marketplace.AgreementID = e.AgreementID
	case UnsubscribeRequested:
		s.Status, s.LeftAt = StatusEnding, e.RequestedAt
	case SubscriptionRenewed:
		s.Status, s.LeftAt = StatusActive, time.Time{}
		if !e.ExpiresAt.IsZero() {
			s.ExpiresAt = e.ExpiresAt
		}
	case SubscriptionEnded:
		s.Status, s.EndedAt, s.LeftAt = StatusEnded, e.EndedAt, e.EndedAt
		s.Ends++
	case SubscriptionReinstated:
		s.Status, s.EndedAt, s.LeftAt, s.ReinstatedAt = StatusActive, time.Time{}, time.Time{}, e.ReinstatedAt
		if s.Plan == "" {
			s.Status = StatusScheduled // it had not started
		}
	}
	return s
}

// Serves returns whether calls are answered.
func (s Subscription) Serves() bool {
	return s.Status == StatusActive || s.Status == StatusEnding
}

// Reinstated returns whether it goes on after it had ended.
func (s Subscription) Reinstated() bool { return s.Ends > 0 && s.Status != StatusEnded }

// Registers returns whether its buyer may set up an account.
func (s Subscription) Registers() bool {
	return s.Serves() || s.Status == StatusScheduled
}

// DueToStart returns whether the contract has started by what was announced.
func (s Subscription) DueToStart(at time.Time) bool {
	return s.Status == StatusScheduled && !at.Before(s.StartsAt)
}

// Schedule notes that the contract of a licence starts later.
func (s Subscription) Schedule(identity MarketplaceIdentity, startsAt, at time.Time) []Event {
	if s.Status != StatusUnknown && (s.Status != StatusScheduled || s.StartsAt.Equal(startsAt)) {
		return nil
	}
	id := SubscriptionIDForLicence(identity.LicenseARN)
	return []Event{SubscriptionScheduled{
		SubscriptionID: id, CustomerID: CustomerIDForSubscription(id), Marketplace: identity, StartsAt: startsAt.UTC(), ScheduledAt: at.UTC(),
	}}
}

// Start begins the subscription of a licence. Started already, it records nothing.
func (s Subscription) Start(identity MarketplaceIdentity, entitled Entitlement, at time.Time) []Event {
	if s.Status != StatusUnknown && s.Status != StatusScheduled {
		return nil
	}
	id := SubscriptionIDForLicence(identity.LicenseARN)
	return []Event{SubscriptionStarted{
		SubscriptionID: id, CustomerID: CustomerIDForSubscription(id), Marketplace: identity,
		Plan: entitled.Plan, Limit: entitled.Limit, Overage: OverageContinue, StartedAt: at.UTC(), ExpiresAt: entitled.ExpiresAt.UTC(),
	}}
}

// LinkAgreement notes the agreement of the licence.
func (s Subscription) LinkAgreement(agreementID string, at time.Time) []Event {
	if s.Status == StatusUnknown || agreementID == "" || agreementID == s.Marketplace.AgreementID {
		return nil
	}
	return []Event{AgreementLinked{SubscriptionID: s.ID, AgreementID: agreementID, LinkedAt: at.UTC()}}
}

// MostCalls returns how many calls are counted in a month at most; false when there is no end. A ceiling counts from the plan's
// limit as it is now, also after the plan has changed.
func (s Subscription) MostCalls() (calls int64, bounded bool) {
	if s.Overage == OverageStop {
		return s.Limit, true
	}
	return s.Limit + s.Ceiling, s.Ceiling > 0
}

// MaxCeiling is the highest ceiling of calls beyond the plan.
const MaxCeiling = 1_000_000_000

// SwitchOverage chooses what happens beyond the limit. A ceiling, nil for none, is how many calls beyond it are served.
func (s Subscription) SwitchOverage(to OveragePolicy, ceiling *int64, at time.Time) ([]Event, error) {
	switched := OverageSwitched{SubscriptionID: s.ID, From: s.Overage, FromCeiling: s.Ceiling, To: to, SwitchedAt: at.UTC()}
	if to != OverageContinue && to != OverageStop {
		return nil, Invalid("overage", "The over-limit behaviour is either \"continue\" or \"stop\".")
	}
	if ceiling != nil {
		if to == OverageStop {
			return nil, Invalid("ceiling", "With \"stop\" no call beyond the plan is served, so there is no ceiling.")
		}
		if *ceiling < 1 || *ceiling > MaxCeiling {
			return nil, Invalid("ceiling", "The ceiling is a number of calls from 1 to %d; choose \"stop\" to serve none beyond the plan.", MaxCeiling)
		}
		switched.Ceiling = *ceiling
	}
	if !s.Serves() {
		return nil, ErrSubscriptionInactive
	}
	if switched.To == s.Overage && switched.Ceiling == s.Ceiling {
		return nil, nil
	}
	return []Event{switched}, nil
}

// End closes the subscription.
func (s Subscription) End(reason string, at time.Time) []Event {
	if !s.Serves() && s.Status != StatusScheduled {
		return nil
	}
	return []Event{SubscriptionEnded{SubscriptionID: s.ID, Reason: reason, EndedAt: at.UTC()}}
}

// ErrNotEnded refuses to reinstate a subscription that has not ended.
var ErrNotEnded = &Error{Kind: KindConflict, Code: "not_ended", Message: "Only a subscription that has ended can be reinstated."}

// Reinstate lets an ended subscription go on, by an operator's decision. A reason is required.
func (s Subscription) Reinstate(why string, at time.Time) ([]Event, error) {
	if s.Status != StatusEnded {
		return nil, ErrNotEnded
	}
	if strings.TrimSpace(why) == "" {
		return nil, Invalid("why", "Say why the subscription goes on, for instance what AWS or the buyer has said.")
	}
	return s.reinstate(why, at), nil
}

func (s Subscription) reinstate(why string, at time.Time) []Event {
	return []Event{SubscriptionReinstated{SubscriptionID: s.ID, Why: why, ReinstatedAt: at.UTC()}}
}
