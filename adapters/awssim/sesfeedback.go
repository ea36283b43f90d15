package awssim

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// mailboxSimulator is the domain of the addresses by which Amazon SES itself lets senders try what mails can come to:
// bounce@…, complaint@…, suppressionlist@… and success@…, each also as bounce+label@….
const mailboxSimulator = "@simulator.amazonses.com"

// feedback tells through the configuration set what came of a mail, as an SNS message in the queue of mail events. Without a
// set nothing is told, as with Amazon SES.
func (s *Sim) feedback(ctx context.Context, tx *sql.Tx, m Mail, in sendEmailInput, to *mail.Address) error {
	name, simulated := strings.CutSuffix(mailboxKey(to.Address), mailboxSimulator)
	name, _, _ = strings.Cut(name, "+")
	if !simulated || in.ConfigurationSetName == "" {
		return nil
	}
	at := s.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	recipient := map[string]any{"emailAddress": to.Address}
	var event map[string]any
	switch name {
	case "bounce":
		recipient["action"], recipient["status"], recipient["diagnosticCode"] = "failed", "5.1.1", "smtp; 550 5.1.1 user unknown"
		event = map[string]any{"eventType": "Bounce", "bounce": map[string]any{
			"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": []any{recipient},
			"timestamp": at, "feedbackId": s.random.hex(16),
		}}
	case "suppressionlist":
		recipient["action"], recipient["status"] = "failed", "5.1.1"
		recipient["diagnosticCode"] = "Amazon SES did not send the message to this address: it is on the suppression list of the account."
		event = map[string]any{"eventType": "Bounce", "bounce": map[string]any{
			"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList", "bouncedRecipients": []any{recipient},
			"timestamp": at, "feedbackId": s.random.hex(16),
		}}
	case "complaint":
		event = map[string]any{"eventType": "Complaint", "complaint": map[string]any{
			"complainedRecipients": []any{recipient}, "complaintFeedbackType": "abuse", "timestamp": at, "feedbackId": s.random.hex(16),
		}}
	default:
		event = map[string]any{"eventType": "Delivery", "delivery": map[string]any{"timestamp": at, "recipients": []string{to.Address}}}
	}
	tags := map[string][]string{"ses:configuration-set": {in.ConfigurationSetName}}
	for _, tag := range in.EmailTags {
		tags[tag.Name] = []string{tag.Value}
	}
	event["mail"] = map[string]any{
		"timestamp": m.SentAt.UTC().Format(time.RFC3339), "source": in.FromEmailAddress, "messageId": m.ID,
		"destination": []string{to.Address}, "tags": tags,
	}
	message, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("awssim: encode mail event: %w", err)
	}
	body, err := json.Marshal(map[string]string{
		"Type": "Notification", "MessageId": s.random.uuid(),
		"TopicArn": "arn:aws:sns:" + region + ":" + s.cfg.SellerAccountID + ":mail-events",
		"Subject":  "Amazon SES Email Event Notification", "Message": string(message), "Timestamp": at,
	})
	if err != nil {
		return fmt.Errorf("awssim: encode notification: %w", err)
	}
	return s.enqueue(ctx, tx, s.cfg.MailEventsQueue, string(body))
}
