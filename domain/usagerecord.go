package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Rules of a usage record, the report of one licence, dimension and hour to AWS:
//  1. It is prepared once, after its hour is sealed, and never changes: a repetition is identical, so AWS knows it again.
//  2. Every call is preceded by UsageRecordAttempted. An attempt that is neither deferred nor closes the record has an
//     unknown outcome: AWS may have billed it.
//  3. It ends accepted, rejected, carried over or, until a person decides, quarantined.
//  4. It is carried over only when no attempt can have been billed. The quantity then counts like a call committed at that
//     place in the log: it belongs to the first hour that is not sealed.
//  5. No quantity disappears: accepted + pending + carried and not prepared yet + rejected + credited is what was counted.

// UsageRecordKey names a usage record: AWS keeps one quantity for it.
type UsageRecordKey struct {
	RecordID       uuid.UUID `json:"recordId"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Hour           time.Time `json:"hour"`
	Dimension      string    `json:"dimension"`
	Plan           PlanID    `json:"plan"`
}

// NewUsageRecordKey names the record of an hour's calls beyond a plan. Its id follows from AWS's own key.
func NewUsageRecordKey(subscription uuid.UUID, hour time.Time, plan PlanID, dimension string) UsageRecordKey {
	return UsageRecordKey{
		RecordID:       DerivedID(subscription, "usage record:"+UsageHourKey(hour)+":"+dimension),
		SubscriptionID: subscription, Hour: UsageHour(hour), Dimension: dimension, Plan: plan,
	}
}

// Stream is the stream of the record.
func (k UsageRecordKey) Stream() string { return MeteringStream(k.SubscriptionID, k.Hour, k.Dimension) }

// CarriedUsage is a quantity that an earlier hour could not report.
type CarriedUsage struct {
	Hour     time.Time `json:"hour"` // where it was counted
	Quantity int64     `json:"quantity"`
}

// UsageRecordPrepared fixes what is reported for an hour, before anything is sent. It never changes. The quantity is what
// was counted and carried over, less what was credited.
type UsageRecordPrepared struct {
	UsageRecordKey
	CustomerID         uuid.UUID      `json:"customerId"`
	AWSAccountID       string         `json:"awsAccountId,omitempty"`
	LicenseARN         string         `json:"licenseArn,omitempty"`
	CustomerIdentifier string         `json:"customerIdentifier,omitempty"` // instead of account and licence, for listings from before 2026
	ProductCode        string         `json:"productCode"`
	Timestamp          time.Time      `json:"timestamp"` // under which AWS keeps it
	Deadline           time.Time      `json:"deadline"`  // from when AWS takes it no more
	Quantity           int64          `json:"quantity"`  // counted plus carried, less credited
	Counted            int64          `json:"counted"`
	Carried            []CarriedUsage `json:"carried,omitempty"`
	Credited           int64          `json:"credited,omitempty"`
	Region             string         `json:"region"` // the only one it may be sent to: AWS knows repetitions per Region
	PreparedAt         time.Time      `json:"preparedAt"`
}

// Identity is what AWS knows the record's buyer by.
func (p UsageRecordPrepared) Identity() MarketplaceIdentity {
	return MarketplaceIdentity{
		AWSAccountID: p.AWSAccountID, LicenseARN: p.LicenseARN, ProductCode: p.ProductCode, CustomerIdentifier: p.CustomerIdentifier,
	}
}

// UsageRecordAttempted says that the record is about to be sent. Without an outcome behind it, that of the attempt is not
// known.
type UsageRecordAttempted struct {
	UsageRecordKey
	AttemptID   uuid.UUID `json:"attemptId"` // of the call; records sent together share it
	Attempt     int       `json:"attempt"`   // 1, 2, …
	AttemptedAt time.Time `json:"attemptedAt"`
	RetryAt     time.Time `json:"retryAt"` // not sent again before, should no outcome become known
}

// UsageRecordDeferred says that an attempt was certainly not billed and another will follow.
type UsageRecordDeferred struct {
	UsageRecordKey
	AttemptID  uuid.UUID       `json:"attemptId"`
	Outcome    MeteringOutcome `json:"outcome"`
	Reason     string          `json:"reason"`
	DeferredAt time.Time       `json:"deferredAt"`
	RetryAt    time.Time       `json:"retryAt"`
}

// UsageRecordAccepted says that AWS bills the record.
type UsageRecordAccepted struct {
	UsageRecordKey
	MeteringRecordID string          `json:"meteringRecordId,omitempty"` // AWS's; unknown when only a repetition was answered
	Outcome          MeteringOutcome `json:"outcome,omitempty"`          // empty when an operator found it in AWS's own records
	Quantity         int64           `json:"quantity"`
	Reason           string          `json:"reason"`
	AcceptedAt       time.Time       `json:"acceptedAt"`
}

// UsageRecordRejected says that the record is not billed and its quantity written off.
type UsageRecordRejected struct {
	UsageRecordKey
	Outcome    MeteringOutcome `json:"outcome,omitempty"` // empty when it was never sent, or when an operator decided
	Quantity   int64           `json:"quantity"`
	Reason     string          `json:"reason"`
	RejectedAt time.Time       `json:"rejectedAt"`
}

// UsageRecordQuarantined says that the record is not sent any more until an operator decides.
type UsageRecordQuarantined struct {
	UsageRecordKey
	Outcome       MeteringOutcome `json:"outcome,omitempty"`
	Quantity      int64           `json:"quantity"`
	Reason        string          `json:"reason"`
	QuarantinedAt time.Time       `json:"quarantinedAt"`
}

// UsageCarriedOver closes a record whose quantity a later hour reports: the first one not sealed where this event stands.
type UsageCarriedOver struct {
	UsageRecordKey
	Outcome   MeteringOutcome `json:"outcome,omitempty"`
	Quantity  int64           `json:"quantity"`
	Reason    string          `json:"reason"`
	CarriedAt time.Time       `json:"carriedAt"`
}

// EventType names the event in the log.
func (UsageRecordPrepared) EventType() string { return "UsageRecordPrepared" }

// EventType names the event in the log.
func (UsageRecordAttempted) EventType() string { return "UsageRecordAttempted" }

// EventType names the event in the log.
func (UsageRecordDeferred) EventType() string { return "UsageRecordDeferred" }

// EventType names the event in the log.
func (UsageRecordAccepted) EventType() string { return "UsageRecordAccepted" }

// EventType names the event in the log.
func (UsageRecordRejected) EventType() string { return "UsageRecordRejected" }

// EventType names the event in the log.
func (UsageRecordQuarantined) EventType() string { return "UsageRecordQuarantined" }

// EventType names the event in the log.
func (UsageCarriedOver) EventType() string { return "UsageCarriedOver" }

func registerMeteringEvents(r *Registry) {
	register[UsageRecordPrepared](r, CategoryMetering)
	register[UsageRecordAttempted](r, CategoryMetering)
	register[UsageRecordDeferred](r, CategoryMetering)
	register[UsageRecordAccepted](r, CategoryMetering)
	register[UsageRecordRejected](r, CategoryMetering)
	register[UsageRecordQuarantined](r, CategoryMetering)
	register[UsageCarriedOver](r, CategoryMetering)
}

// UsageRecordStatus is where a usage record stands.
type UsageRecordStatus string

// The statuses of a usage record.
const (
	RecordUnknown     UsageRecordStatus = ""            // not prepared
	RecordOpen        UsageRecordStatus = "open"        // to be sent
	RecordAccepted    UsageRecordStatus = "accepted"    // billed
	RecordRejected    UsageRecordStatus = "rejected"    // written off
	RecordCarried     UsageRecordStatus = "carried"     // reported by a later hour
	RecordQuarantined UsageRecordStatus = "quarantined" // waits for an operator
)

// UsageRecord is the state of one usage record.
type UsageRecord struct {
	UsageRecordPrepared
	Status     UsageRecordStatus
	Attempts   int
	Unanswered int // attempts whose outcome is not known
	RetryAt    time.Time
}

// Fold returns the state after one more event.
func (r UsageRecord) Fold(event Event) UsageRecord {
	switch e := event.(type) {
	case UsageRecordPrepared:
		r.UsageRecordPrepared, r.Status = e, RecordOpen
	case UsageRecordAttempted:
		r.Attempts, r.RetryAt = e.Attempt, e.RetryAt
		r.Unanswered++
	case UsageRecordDeferred:
		r.Unanswered, r.RetryAt = r.Unanswered-1, e.RetryAt
	case UsageRecordAccepted:
		r.Status = RecordAccepted
	case UsageRecordRejected:
		r.Status = RecordRejected
	case UsageRecordQuarantined:
		r.Status = RecordQuarantined
	case UsageCarriedOver:
		r.Status = RecordCarried
	}
	return r
}

// SealedUsage is what a sealed hour of a subscription holds beyond one plan.
type SealedUsage struct {
	SubscriptionID uuid.UUID
	Hour           time.Time
	Plan           PlanID
	Counted        int64 // calls
	Carried        []CarriedUsage
	Credited       int64 // of both, what credits take off
}

// Quantity returns what the hour reports.
func (u SealedUsage) Quantity() int64 {
	quantity := u.Counted - u.Credited
	for _, carried := range u.Carried {
		quantity += carried.Quantity
	}
	return quantity
}

// MeteringTarget says how usage is reported.
type MeteringTarget struct {
	Region    string
	Dimension string // of the plan
	Legacy    bool   // name buyers by customer identifier and product code: a listing from before 2026
}

// UsageTimestamp returns the one timestamp under which an hour is reported. In the hour of a return it is that of the return:
// AWS takes nothing stamped between the old agreement and the new one.
func (s Subscription) UsageTimestamp(hour time.Time) time.Time {
	begun := s.StartedAt
	if s.ReinstatedAt.After(begun) && UsageHour(s.ReinstatedAt).Equal(UsageHour(hour)) {
		begun = s.ReinstatedAt
	}
	timestamp, err := UsageTimestamp(hour, begun)
	if err != nil {
		// The store's clock is behind ours. AWS decides whether it takes the hour.
		return UsageHour(hour)
	}
	return timestamp
}

// Prepare fixes the record of a sealed hour, once. What was counted in an hour after the agreement's end, before we learned
// of it, or carried into one is written off at once: AWS takes no usage stamped after the end.
func (r UsageRecord) Prepare(s Subscription, usage SealedUsage, to MeteringTarget, at time.Time) ([]Event, error) {
	if r.Status != RecordUnknown {
		return nil, nil
	}
	quantity := usage.Quantity()
	if _, err := UsageQuantity(quantity); err != nil {
		return nil, err
	}
	timestamp := s.UsageTimestamp(usage.Hour)
	key := NewUsageRecordKey(s.ID, usage.Hour, usage.Plan, to.Dimension)
	prepared := UsageRecordPrepared{
		UsageRecordKey: key, CustomerID: s.CustomerID, ProductCode: s.Marketplace.ProductCode,
		Timestamp: timestamp, Deadline: UsageDeadline(timestamp), Quantity: quantity, Counted: usage.Counted, Carried: usage.Carried, Credited: usage.Credited,
		Region: to.Region, PreparedAt: at.UTC(),
	}
	if to.Legacy {
		if s.Marketplace.CustomerIdentifier == "" {
			return nil, fmt.Errorf("subscription %s has no customer identifier, which the configuration asks for", s.ID)
		}
		prepared.CustomerIdentifier = s.Marketplace.CustomerIdentifier
	} else {
		prepared.AWSAccountID, prepared.LicenseARN = s.Marketplace.AWSAccountID, s.Marketplace.LicenseARN
	}
	events := []Event{prepared}
	if s.Status == StatusEnded && !s.EndedAt.IsZero() && timestamp.After(s.EndedAt) {
		reason := "counted after the end of the agreement, before it was known here"
		if len(usage.Carried) > 0 {
			reason = "at least partly carried over from earlier hours into one after the end of the agreement, where AWS takes no usage"
		}
		events = append(events, UsageRecordRejected{UsageRecordKey: key, Quantity: quantity, Reason: reason, RejectedAt: at.UTC()})
	}
	return events, nil
}

// Attempt notes that the record is about to be sent.
func (r UsageRecord) Attempt(attempt uuid.UUID, at time.Time) []Event {
	if r.Status != RecordOpen {
		return nil
	}
	return []Event{UsageRecordAttempted{
		UsageRecordKey: r.UsageRecordKey, AttemptID: attempt, Attempt: r.Attempts + 1, AttemptedAt: at.UTC(),
		RetryAt: at.UTC().Add(retryDelay(attempt, r.Attempts+1)),
	}}
}

// MeteringAnswer is what became of one attempt.
type MeteringAnswer struct {
	AttemptID        uuid.UUID
	Outcome          MeteringOutcome
	MeteringRecordID string
	BatchSize        int
	Subscription     SubscriptionStatus
}

// Settle decides on the outcome of an attempt. What is closed already stays so.
func (r UsageRecord) Settle(answer MeteringAnswer, at time.Time) ([]Event, MeteringDecision) {
	decision := DecideMetering(answer.Outcome, MeteringSituation{
		BatchSize: answer.BatchSize, UnknownBefore: r.Unanswered > 1, Subscription: answer.Subscription,
	})
	if r.Quantity == 0 && answer.Outcome != MeteringDuplicate && decision.Action != MeteringPause {
		decision.Alert = false // there is nothing to lose
	}
	if r.Status != RecordOpen {
		return nil, decision
	}
	if decision.Action == MeteringAccept {
		return []Event{UsageRecordAccepted{
			UsageRecordKey: r.UsageRecordKey, MeteringRecordID: answer.MeteringRecordID, Outcome: answer.Outcome,
			Quantity: r.Quantity, Reason: decision.Reason, AcceptedAt: at.UTC(),
		}}, decision
	}
	if closed := r.close(decision, answer.Outcome, at); closed != nil {
		return closed, decision
	}
	if answer.Outcome.MayBeBilled() {
		return nil, decision // the attempt stays without an outcome
	}
	retry := retryDelay(answer.AttemptID, r.Attempts)
	if decision.Action == MeteringHold {
		retry = 10 * time.Minute // AWS does not know the licence as active: it is not asked more often
	}
	return []Event{UsageRecordDeferred{
		UsageRecordKey: r.UsageRecordKey, AttemptID: answer.AttemptID, Outcome: answer.Outcome, Reason: decision.Reason,
		DeferredAt: at.UTC(), RetryAt: at.UTC().Add(retry),
	}}, decision
}

// Expired says that the record is not to be sent any more. One that may have been billed is repeated up to the deadline
// itself: an answer would settle it.
func (r UsageRecord) Expired(at time.Time) bool {
	limit := r.Deadline
	if r.Unanswered == 0 {
		limit = limit.Add(-5 * time.Minute) // a first attempt must not reach AWS when the deadline has just passed there
	}
	return r.Status == RecordOpen && !at.Before(limit)
}

// Expire decides on a record that AWS takes no more.
func (r UsageRecord) Expire(subscription SubscriptionStatus, at time.Time) ([]Event, MeteringDecision) {
	if !r.Expired(at) {
		return nil, MeteringDecision{}
	}
	decision := DecideLateUsage(MeteringSituation{UnknownBefore: r.Unanswered > 0, Subscription: subscription})
	if r.Quantity == 0 {
		decision = MeteringDecision{Action: MeteringReject, Reason: "too late, and nothing to bill"}
	}
	return r.close(decision, "", at), decision
}

// close returns the event that a decision closes the record by, or none.
func (r UsageRecord) close(decision MeteringDecision, outcome MeteringOutcome, at time.Time) []Event {
	switch decision.Action {
	case MeteringCarry:
		return []Event{UsageCarriedOver{UsageRecordKey: r.UsageRecordKey, Outcome: outcome, Quantity: r.Quantity, Reason: decision.Reason, CarriedAt: at.UTC()}}
	case MeteringReject:
		return []Event{UsageRecordRejected{UsageRecordKey: r.UsageRecordKey, Outcome: outcome, Quantity: r.Quantity, Reason: decision.Reason, RejectedAt: at.UTC()}}
	case MeteringQuarantine:
		return []Event{UsageRecordQuarantined{UsageRecordKey: r.UsageRecordKey, Outcome: outcome, Quantity: r.Quantity, Reason: decision.Reason, QuarantinedAt: at.UTC()}}
	}
	return nil
}

// Resolution is an operator's decision on a quarantined record, after a look at AWS's own records.
type Resolution string

// The resolutions.
const (
	ResolveBilled   Resolution = "billed"   // AWS holds the record
	ResolveCarry    Resolution = "carry"    // AWS does not hold it; a later hour reports the quantity
	ResolveWriteOff Resolution = "writeoff" // AWS does not hold it and shall not
)

// ErrNotQuarantined refuses to resolve a record that does not wait for a person.
var ErrNotQuarantined = &Error{Kind: KindConflict, Code: "not_quarantined", Message: "Only a quarantined usage record can be resolved."}

// Resolve closes a quarantined record. A reason is required; for a billed one AWS's record id belongs to it.
func (r UsageRecord) Resolve(resolution Resolution, meteringRecordID, reason string, subscription SubscriptionStatus, at time.Time) ([]Event, error) {
	if r.Status != RecordQuarantined {
		return nil, ErrNotQuarantined
	}
	if reason == "" {
		return nil, Invalid("reason", "Say what shows that the record was billed or not, for instance the CloudTrail event.")
	}
	switch resolution {
	case ResolveBilled:
		return []Event{UsageRecordAccepted{
			UsageRecordKey: r.UsageRecordKey, MeteringRecordID: meteringRecordID, Quantity: r.Quantity, Reason: reason, AcceptedAt: at.UTC(),
		}}, nil
	case ResolveCarry:
		if subscription == StatusEnded {
			return nil, Invalid("resolution", "The agreement has ended: no later hour can report the quantity. Write it off.")
		}
		return r.close(MeteringDecision{Action: MeteringCarry, Reason: reason}, "", at), nil
	case ResolveWriteOff:
		return r.close(MeteringDecision{Action: MeteringReject, Reason: reason}, "", at), nil
	}
	return nil, Invalid("resolution", "A record is resolved as billed, carry or writeoff.")
}

// retryDelay doubles with each attempt. The attempt's id spreads it by a quarter up and down, so that records and nodes
// do not come back all at once.
func retryDelay(attempt uuid.UUID, attempts int) time.Duration {
	const first, last = 5 * time.Second, 10 * time.Minute
	delay := min(first<<min(max(attempts-1, 0), 10), last)
	return delay*3/4 + delay/2*time.Duration(attempt[0])/256
}
