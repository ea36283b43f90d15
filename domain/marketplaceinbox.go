package domain

import "time"

// MarketplaceNotified says that AWS Marketplace told of a change. It is a reason to look at AWS, not the state itself.
// Names that a message does not have are empty.
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

// Stream is where a message is kept: with others on the same licence, else on the same agreement or customer.
func (n MarketplaceNotified) Stream() string {
	for _, name := range []string{n.LicenseID, n.AgreementID, n.CustomerIdentifier} {
		if name != "" {
			return NotificationStream(name)
		}
	}
	return NotificationStream(n.NotificationID)
}

// MarketplaceInbox is what AWS Marketplace told of one licence, agreement or customer.
type MarketplaceInbox struct {
	AgreementID string // of the newest message that names one
	newest      time.Time
	known       map[string]bool
}

// Fold returns the state after one more event.
func (i MarketplaceInbox) Fold(event Event) MarketplaceInbox {
	e, ok := event.(MarketplaceNotified)
	if !ok {
		return i
	}
	if i.known == nil {
		i.known = map[string]bool{}
	}
	i.known[e.NotificationID] = true
	if e.AgreementID != "" && !e.HappenedAt.Before(i.newest) {
		i.AgreementID, i.newest = e.AgreementID, e.HappenedAt
	}
	return i
}

// Receive keeps a message, once however many copies arrive.
func (i MarketplaceInbox) Receive(message MarketplaceNotified) []Event {
	if i.known[message.NotificationID] {
		return nil
	}
	return []Event{message}
}
