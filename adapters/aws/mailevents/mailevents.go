// Package mailevents reads what Amazon SES tells of mails after it has taken them: that one came back, or that its recipient
// called it spam. SES publishes these events through a configuration set to SNS or EventBridge, and they wait in an SQS queue.
package mailevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/commands/accounts"
)

// ErrMalformed says that a message is no event of a mail and never will be.
var ErrMalformed = errors.New("not a mail event")

// MailTag is the tag by which a mail names itself to SES.
const MailTag = "mail-id"

// Event is what became of a mail.
type Event struct {
	Mail uuid.UUID // of the tag; uuid.Nil when it has none
	// Undeliverable is why the recipient will not get the mail; nil for events that say something else.
	Undeliverable *accounts.UndeliverableError
}

// envelope is what SNS or EventBridge wraps an event in.
type envelope struct {
	Type    string          `json:"Type"`    // of SNS
	Message string          `json:"Message"` // of SNS: the event as a text
	Source  string          `json:"source"`  // of EventBridge
	Detail  json.RawMessage `json:"detail"`  // of EventBridge: the event
}

// sesEvent is an event of SES with what we use of it. Identities without a configuration set say notificationType, and know
// no tags.
type sesEvent struct {
	EventType        string `json:"eventType"`
	NotificationType string `json:"notificationType"`
	Mail             struct {
		Tags map[string][]string `json:"tags"`
	} `json:"mail"`
	Bounce struct {
		Type       string `json:"bounceType"`
		SubType    string `json:"bounceSubType"`
		Recipients []struct {
			Status         string `json:"status"`
			DiagnosticCode string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
}

// Handler returns a handler for notifications.Consumer that hands what makes a mail undeliverable to receive. What is no event
// is a dead letter.
func Handler(
	receive func(ctx context.Context, mail uuid.UUID, why accounts.UndeliverableError) error,
) func(context.Context, notifications.Message) error {
	return func(ctx context.Context, message notifications.Message) error {
		event, err := Parse(message.Body)
		if err != nil {
			return fmt.Errorf("%w: %w", notifications.ErrDeadLetter, err)
		}
		if event.Undeliverable == nil || event.Mail == uuid.Nil {
			return nil
		}
		return receive(ctx, event.Mail, *event.Undeliverable)
	}
}

// Parse reads the body of a queue message: an event as it is, or wrapped by SNS or EventBridge. No error quotes the message: it
// names addresses.
func Parse(body string) (Event, error) {
	text := []byte(body)
	var wrapped envelope
	if err := json.Unmarshal(text, &wrapped); err != nil {
		return Event{}, fmt.Errorf("%w: no JSON object", ErrMalformed)
	}
	switch {
	case wrapped.Type == "Notification":
		text = []byte(wrapped.Message)
	case wrapped.Source == "aws.ses":
		text = wrapped.Detail
	}
	var e sesEvent
	if err := json.Unmarshal(text, &e); err != nil {
		return Event{}, fmt.Errorf("%w: no JSON object inside", ErrMalformed)
	}
	kind := e.EventType + e.NotificationType
	if kind == "" {
		return Event{}, fmt.Errorf("%w: it has no type", ErrMalformed)
	}
	var event Event
	if tags := e.Mail.Tags[MailTag]; len(tags) == 1 {
		event.Mail, _ = uuid.Parse(tags[0]) // another program's tag is none of ours
	}
	event.Undeliverable = e.undeliverable(kind)
	return event, nil
}

// undeliverable returns why a mail is, or nil. Of bounces that may pass only a full mailbox is final for us: SES has tried long
// enough, while others of that kind are answers of people on holiday.
func (e sesEvent) undeliverable(kind string) *accounts.UndeliverableError {
	switch kind {
	case "Complaint":
		return &accounts.UndeliverableError{Cause: accounts.CauseComplaint}
	case "Reject":
		return &accounts.UndeliverableError{Cause: accounts.CauseRejected}
	case "Bounce":
	default:
		return nil
	}
	answer := ""
	for _, recipient := range e.Bounce.Recipients {
		answer = answerOf(recipient.DiagnosticCode, recipient.Status)
	}
	switch {
	case e.Bounce.SubType == "Suppressed", e.Bounce.SubType == "OnAccountSuppressionList":
		return &accounts.UndeliverableError{Cause: accounts.CauseSuppressed}
	case e.Bounce.SubType == "MailboxFull":
		return &accounts.UndeliverableError{Cause: accounts.CauseFull, Answer: answer}
	case e.Bounce.Type == "Permanent":
		return &accounts.UndeliverableError{Cause: permanentCause(e.Bounce.SubType, answer), Answer: answer}
	case e.Bounce.Type == "Undetermined":
		return &accounts.UndeliverableError{Cause: accounts.CauseRejected, Answer: answer}
	}
	return nil
}

var enhancedStatus = regexp.MustCompile(`\b5\.\d{1,3}\.\d{1,3}\b`)

func permanentCause(subType, answer string) accounts.UndeliverableCause {
	status := enhancedStatus.FindString(answer)
	switch {
	case subType == "NoEmail", status == "5.1.1", status == "5.1.6":
		return accounts.CauseNoMailbox
	case status == "5.1.2", status == "5.1.10", status == "5.4.4":
		return accounts.CauseNoDomain
	case status == "5.2.1":
		return accounts.CauseDisabled
	case status == "5.2.2":
		return accounts.CauseFull
	}
	return accounts.CauseRejected
}

var diagnosticNumbers = regexp.MustCompile(`\b5\d\d\b(?:[ -]5\.\d{1,3}\.\d{1,3}\b)?`)

// answerOf keeps the numbers of what the recipient's server said: its text names the address.
func answerOf(diagnostic, status string) string {
	if numbers := diagnosticNumbers.FindString(diagnostic); numbers != "" {
		return numbers
	}
	return enhancedStatus.FindString(status)
}
