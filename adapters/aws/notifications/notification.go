// Package notifications takes the marketplace's agreement and licence events from an SQS queue.
package notifications

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is what a notification means for a subscription. A message is a reason to look at AWS again, not itself the state.
type Kind string

// The kinds of notification.
const (
	// Changed means that an entitlement began, changed or was renewed: read it again.
	Changed Kind = "changed"
	// Ending means that the agreement ended without a successor: usage must be reported within the hour.
	Ending Kind = "ending"
	// Ended means that the licence is no longer valid.
	Ended Kind = "ended"
	// Refused means that the purchase failed after the buyer may have reached us.
	Refused Kind = "refused"
	// Noted is anything that changes no access by itself, and any type that is not known.
	Noted Kind = "noted"
)

// Notification is an event of the marketplace, from EventBridge or, for listings from before 2026, from SNS. Fields that a
// message does not have are empty.
type Notification struct {
	// ID is the event's own id, the same in every copy of it.
	ID string
	// Type is AWS's name of the event, without the suffix that tells the role of its reader.
	Type string
	Kind Kind
	// Time is when it happened; notifications arrive in any order.
	Time time.Time

	AgreementID         string
	AgreementStatus     string
	Intent              string
	PreviousAgreementID string
	// LicenseID is the l-… part of the licence's ARN. Events print the ARN in another form than metering demands.
	LicenseID   string
	ProductCode string
	// AWSAccountID is the buyer's account.
	AWSAccountID string
	// CustomerIdentifier names the buyer in SNS messages.
	CustomerIdentifier string
}

// ErrMalformed says that a message is not a notification and never will be.
var ErrMalformed = errors.New("not a marketplace notification")

const eventSource = "aws.agreement-marketplace"

// event is the EventBridge envelope with what we use of its detail.
type event struct {
	ID         string    `json:"id"`
	DetailType string    `json:"detail-type"`
	Source     string    `json:"source"`
	Time       time.Time `json:"time"`
	Detail     struct {
		Agreement struct {
			ID                  string `json:"id"`
			Status              string `json:"status"`
			Intent              string `json:"intent"`
			PreviousAgreementID string `json:"previousAgreementId"`
		} `json:"agreement"`
		Product struct {
			Code string `json:"code"`
		} `json:"product"`
		License struct {
			ARN string `json:"arn"`
		} `json:"license"`
		Acceptor struct {
			AccountID string `json:"accountId"`
		} `json:"acceptor"`
	} `json:"detail"`
}

// envelope is what SNS wraps a message in; the message itself is a text.
type envelope struct {
	Type      string `json:"Type"`
	MessageID string `json:"MessageId"`
	Message   string `json:"Message"`
	Timestamp string `json:"Timestamp"`
}

type snsMessage struct {
	Action             string `json:"action"`
	CustomerIdentifier string `json:"customer-identifier"`
	ProductCode        string `json:"product-code"`
}

// Parse reads the body of a queue message. Unknown types are Noted; what is no notification at all is ErrMalformed.
func Parse(body string) (Notification, error) {
	var e event
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return Notification{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if e.Source == eventSource && e.ID != "" && e.DetailType != "" {
		return e.notification(), nil
	}
	var sns envelope
	if err := json.Unmarshal([]byte(body), &sns); err == nil && sns.Type == "Notification" && sns.MessageID != "" {
		return sns.notification()
	}
	return Notification{}, fmt.Errorf("%w: source %q, type %q", ErrMalformed, e.Source, e.DetailType)
}

func (e event) notification() Notification {
	n := Notification{
		ID: e.ID, Type: eventType(e.DetailType), Time: e.Time.UTC(),
		AgreementID: e.Detail.Agreement.ID, AgreementStatus: e.Detail.Agreement.Status, Intent: e.Detail.Agreement.Intent,
		PreviousAgreementID: e.Detail.Agreement.PreviousAgreementID, LicenseID: licenseID(e.Detail.License.ARN),
		ProductCode: e.Detail.Product.Code, AWSAccountID: e.Detail.Acceptor.AccountID,
	}
	switch n.Type {
	case "License Updated", "Purchase Agreement Amended":
		n.Kind = Changed
	case "Purchase Agreement Ended":
		n.Kind = Ending
		if n.AgreementStatus == "RENEWED" || n.AgreementStatus == "REPLACED" {
			n.Kind = Changed // a successor carries on
		}
	case "License Deprovisioned":
		n.Kind = Ended
	default:
		n.Kind = Noted
	}
	return n
}

func (s envelope) notification() (Notification, error) {
	// AWS's own examples have blanks around and a comma after the last member.
	text := strings.TrimSpace(s.Message)
	if inner, ok := strings.CutSuffix(text, "}"); ok {
		text = strings.TrimSuffix(strings.TrimSpace(inner), ",") + "}"
	}
	var m snsMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return Notification{}, fmt.Errorf("%w: message of SNS: %w", ErrMalformed, err)
	}
	if m.Action == "" || m.CustomerIdentifier == "" {
		return Notification{}, fmt.Errorf("%w: message of SNS without action or customer", ErrMalformed)
	}
	at, err := time.Parse(time.RFC3339, s.Timestamp)
	if err != nil {
		return Notification{}, fmt.Errorf("%w: time of SNS: %w", ErrMalformed, err)
	}
	kinds := map[string]Kind{
		"subscribe-success": Changed, "entitlement-updated": Changed, "unsubscribe-pending": Ending, "unsubscribe-success": Ended, "subscribe-fail": Refused,
	}
	n := Notification{ID: s.MessageID, Type: m.Action, Kind: Noted, Time: at.UTC(), ProductCode: m.ProductCode, CustomerIdentifier: m.CustomerIdentifier}
	if kind, known := kinds[m.Action]; known {
		n.Kind = kind
	}
	return n, nil
}

// eventType strips the reader's role, with which one event comes in variants.
func eventType(detailType string) string {
	for _, role := range []string{" - Manufacturer", " - Proposer", " - Acceptor"} {
		if name, ok := strings.CutSuffix(detailType, role); ok {
			return name
		}
	}
	return detailType
}

func licenseID(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }
