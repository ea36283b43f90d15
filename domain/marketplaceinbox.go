package domain

import "time"

// MarketplaceNotified says that AWS Marketplace told of a change. It is a reason to look at AWS, not the state itself. Names
// that a message does not have are empty. It is kept before the message is deleted from the queue.
type MarketplaceNotified struct {
	NotificationID     string    `json:"notificationId"` // the same in every copy of a message
	Type               string    `json:"type"`           // AWS's name
	AgreementID        string    `json:"agreementId,omitempty"`
	AgreementStatus    string    `json:"agreementStatus,omitempty"`
	PreviousAgreement  string    `json:"previousAgreementId,omitempty"`
	LicenseID          string    `json:"licenseId,omitempty"` // l-…
	ProductCode        string    `json:"productCode,omitempty"`
	AWSAccountID       string    `json:"awsAccountId,omitempty"`
	CustomerIdentifier string    `json:"customerIdentifier,omitempty"`
	StartsAt           time.Time `json:"startsAt,omitzero"`   // when the agreement's contract starts
	HappenedAt         time.Time `json:"happenedAt,omitzero"` // AWS's time; messages arrive in any order
	ReceivedAt         time.Time `json:"receivedAt"`
}

// MarketplaceEventKind is what a message of AWS Marketplace means for a subscription.
type MarketplaceEventKind string

// The kinds of message.
const (
	EntitlementChanged MarketplaceEventKind = "changed" // it began, changed or was renewed
	AgreementEnding    MarketplaceEventKind = "ending"  // the agreement ended without a successor
	LicenceEnded       MarketplaceEventKind = "ended"   // the licence is no longer valid
	PurchaseRefused    MarketplaceEventKind = "refused" // payment failed: nothing may be created
	NothingChanged     MarketplaceEventKind = "noted"   // nothing that changes access
)

// MarketplaceEvent is a message of AWS Marketplace and what it means.
type MarketplaceEvent struct {
	Kind    MarketplaceEventKind
	Message MarketplaceNotified
}

// EventType names the event in the log.
func (MarketplaceNotified) EventType() string { return "MarketplaceNotified" }

func registerMarketplaceEvents(r *Registry) { register[MarketplaceNotified](r, CategoryMarketplace) }

// Stream is where a message is kept: with others on the same licence, else of the same account, agreement or customer. What a
// buyer agreed to later than now is found by the account: AWS names no licence in it.
func (n MarketplaceNotified) Stream() string {
	for _, name := range []string{n.LicenseID, n.AWSAccountID, n.AgreementID, n.CustomerIdentifier} {
		if name != "" {
			return NotificationStream(name)
		}
	}
	return NotificationStream(n.NotificationID)
}

// AWS's names of messages that mean something by themselves.
const (
	subscribeSuccess = "subscribe-success"        // of SNS: a subscription begins; it names no agreement
	agreementEnded   = "Purchase Agreement Ended" // also of one that never started
)

// begins returns whether the message says that a subscription begins, or begins anew.
func (n MarketplaceNotified) begins() bool { return n.Type == subscribeSuccess }

// MarketplaceInbox is what AWS Marketplace told of one licence, account, agreement or customer.
type MarketplaceInbox struct {
	AgreementID string // of the newest message that names one
	newest      time.Time
	beganAt     time.Time            // of the newest message that says that a subscription begins
	starts      map[string]time.Time // when each agreement starts
	known       map[string]bool
}

// Fold returns the state after one more event.
func (i MarketplaceInbox) Fold(event Event) MarketplaceInbox {
	e, ok := event.(MarketplaceNotified)
	if !ok {
		return i
	}
	if i.known == nil {
		i.known, i.starts = map[string]bool{}, map[string]time.Time{}
	}
	i.known[e.NotificationID] = true
	if e.AgreementID != "" && !e.HappenedAt.Before(i.newest) {
		i.AgreementID, i.newest = e.AgreementID, e.HappenedAt
	}
	if e.begins() && e.HappenedAt.After(i.beganAt) {
		i.beganAt = e.HappenedAt
	}
	if e.Type == agreementEnded {
		delete(i.starts, e.AgreementID)
	} else if !e.StartsAt.IsZero() {
		i.starts[e.AgreementID] = e.StartsAt
	}
	return i
}

// supersedes returns whether something newer was told than the announcement of an end: another agreement for the licence, or
// that the subscription begins.
func (i MarketplaceInbox) supersedes(end MarketplaceNotified) bool {
	another := end.AgreementID != "" && i.AgreementID != "" && i.AgreementID != end.AgreementID
	return another || i.beganAt.After(end.HappenedAt)
}

// confirming is how long after the start of an agreement AWS may not list its entitlement yet.
const confirming = 24 * time.Hour

// StartsNext returns when an agreement starts, or has started, whose entitlement AWS does not list yet; the zero time when none such
// is announced. Where it is not known which agreement is meant, or not when that one starts, it is the next to start, else the one
// that has started last.
func (i MarketplaceInbox) StartsNext(agreementID string, at time.Time) (next time.Time) {
	oldest := at.Add(-confirming)
	if start, announced := i.starts[agreementID]; announced {
		if start.After(oldest) {
			return start
		}
		return time.Time{}
	}
	for _, start := range i.starts {
		sooner := start.Before(next) == start.After(at) // of two that have started, the later one
		if start.After(oldest) && (next.IsZero() || (start.After(at) && !next.After(at)) || (start.After(at) == next.After(at) && sooner)) {
			next = start
		}
	}
	return next
}

// Receive keeps a message, once however many copies arrive.
func (i MarketplaceInbox) Receive(message MarketplaceNotified) []Event {
	if i.known[message.NotificationID] {
		return nil
	}
	return []Event{message}
}
