// Package notifications takes the marketplace's agreement and licence events from an SQS queue. It says what each means
// and hands it on; what follows from it, and whether it may be deleted, is not decided here.
package notifications

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pas-ta/liveness/domain"
)

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
			PreviousAgreementID string `json:"previousAgreementId"`
			StartTime           any    `json:"startTime"` // of no use in any other form than a text
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

// Handler returns a handler for Consumer.Run that hands every notification to receive. What is none is a dead letter. One that
// came without an envelope has the queue's id and time.
func Handler(receive func(context.Context, domain.MarketplaceEvent) error) func(context.Context, Message) error {
	return func(ctx context.Context, message Message) error {
		event, bare, err := parse(message.Body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDeadLetter, err)
		}
		if bare {
			event.Message.NotificationID, event.Message.HappenedAt = message.ID, message.SentAt
		}
		return receive(ctx, event)
	}
}

// Parse reads the body of a queue message: an event of EventBridge or, for listings from before 2026, of SNS. Either may stand
// in the envelope of SNS, or come raw, without one. Fields that a message does not have are empty; a message of SNS without its
// envelope has no time, and an id that follows from its text. Types that are not known change nothing; what is no notification at
// all is ErrMalformed.
func Parse(body string) (domain.MarketplaceEvent, error) {
	event, _, err := parse(body)
	return event, err
}

// parse tells as well whether the message says neither when it was sent nor which one it is.
func parse(body string) (n domain.MarketplaceEvent, bare bool, err error) {
	text := []byte(withoutTrailingComma(body))
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return n, false, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if e.Source == eventSource && e.ID != "" && e.DetailType != "" {
		return e.notification(), false, nil
	}
	var sns envelope
	if err := json.Unmarshal(text, &sns); err == nil && sns.Type == "Notification" && sns.MessageID != "" {
		n, err = sns.notification()
		return n, false, err
	}
	var m snsMessage
	if err := json.Unmarshal(text, &m); err == nil && m.Action != "" && m.CustomerIdentifier != "" {
		n = m.notification()
		n.Message.NotificationID = fmt.Sprintf("%x", sha256.Sum256(text))
		return n, true, nil
	}
	return n, false, fmt.Errorf("%w: source %q, type %q", ErrMalformed, e.Source, e.DetailType)
}

func (e event) notification() domain.MarketplaceEvent {
	n := domain.MarketplaceEvent{Message: domain.MarketplaceNotified{
		NotificationID: e.ID, Type: eventType(e.DetailType), HappenedAt: e.Time.UTC(),
		AgreementID: e.Detail.Agreement.ID, AgreementStatus: e.Detail.Agreement.Status, PreviousAgreement: e.Detail.Agreement.PreviousAgreementID,
		// Events print the licence's ARN in another form than metering demands.
		LicenseID: licenseID(e.Detail.License.ARN), ProductCode: e.Detail.Product.Code, AWSAccountID: e.Detail.Acceptor.AccountID,
	}}
	if text, ok := e.Detail.Agreement.StartTime.(string); ok {
		if start, err := time.Parse(time.RFC3339, text); err == nil {
			n.Message.StartsAt = start.UTC()
		}
	}
	switch n.Message.Type {
	case "License Updated", "Purchase Agreement Amended":
		n.Kind = domain.EntitlementChanged
	case "Purchase Agreement Ended":
		n.Kind = domain.AgreementEnding
		if n.Message.AgreementStatus == "RENEWED" || n.Message.AgreementStatus == "REPLACED" {
			n.Kind = domain.EntitlementChanged // a successor carries on
		}
	case "License Deprovisioned":
		n.Kind = domain.LicenceEnded
	default:
		n.Kind = domain.NothingChanged
	}
	return n
}

// notification reads the message of an envelope, which gives it its id and time unless the message has its own.
func (s envelope) notification() (domain.MarketplaceEvent, error) {
	n, bare, err := parse(s.Message)
	if err != nil || !bare {
		return n, err
	}
	at, err := time.Parse(time.RFC3339, s.Timestamp)
	if err != nil {
		return domain.MarketplaceEvent{}, fmt.Errorf("%w: time of SNS: %w", ErrMalformed, err)
	}
	n.Message.NotificationID, n.Message.HappenedAt = s.MessageID, at.UTC()
	return n, nil
}

var snsKinds = map[string]domain.MarketplaceEventKind{
	"subscribe-success": domain.EntitlementChanged, "entitlement-updated": domain.EntitlementChanged, "unsubscribe-pending": domain.AgreementEnding,
	"unsubscribe-success": domain.LicenceEnded, "subscribe-fail": domain.PurchaseRefused,
}

func (m snsMessage) notification() domain.MarketplaceEvent {
	n := domain.MarketplaceEvent{Kind: domain.NothingChanged, Message: domain.MarketplaceNotified{
		Type: m.Action, ProductCode: m.ProductCode, CustomerIdentifier: m.CustomerIdentifier,
	}}
	if kind, known := snsKinds[m.Action]; known {
		n.Kind = kind
	}
	return n
}

// withoutTrailingComma returns text as JSON: AWS's own examples have blanks around and a comma after the last member.
func withoutTrailingComma(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutSuffix(text, "}"); ok {
		return strings.TrimSuffix(strings.TrimSpace(inner), ",") + "}"
	}
	return text
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
