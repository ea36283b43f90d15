package mailevents_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/aws/mailevents"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

const mailID = "0b6a4c1e-5a1f-4a57-8f0e-3f6f6a0d5c11"

func bounce(kind, subType, status, diagnostic string) string {
	return `{"eventType":"Bounce","mail":{"tags":{"mail-id":["` + mailID + `"]},"destination":["ada@example.com"]},
		"bounce":{"bounceType":"` + kind + `","bounceSubType":"` + subType + `","bouncedRecipients":[{"emailAddress":"ada@example.com","status":"` + status + `","diagnosticCode":"` + diagnostic + `"}]}}`
}

func TestWhatSESTells(t *testing.T) {
	t.Parallel()
	refused := func(cause accounts.UndeliverableCause, answer string) *accounts.UndeliverableError {
		return &accounts.UndeliverableError{Cause: cause, Answer: answer}
	}
	for name, c := range map[string]struct {
		body string
		want *accounts.UndeliverableError
	}{
		"no mailbox":        {bounce("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 <ada@example.com> unknown"), refused(accounts.CauseNoMailbox, "550 5.1.1")},
		"no email":          {bounce("Permanent", "NoEmail", "", ""), refused(accounts.CauseNoMailbox, "")},
		"no domain":         {bounce("Permanent", "General", "5.4.4", "smtp; 550 5.4.4 Invalid domain"), refused(accounts.CauseNoDomain, "550 5.4.4")},
		"no such system":    {bounce("Permanent", "General", "5.1.2", ""), refused(accounts.CauseNoDomain, "5.1.2")},
		"disabled":          {bounce("Permanent", "General", "5.2.1", "smtp; 550-5.2.1 disabled"), refused(accounts.CauseDisabled, "550-5.2.1")},
		"full for good":     {bounce("Permanent", "General", "5.2.2", ""), refused(accounts.CauseFull, "5.2.2")},
		"full":              {bounce("Transient", "MailboxFull", "", "smtp; 552 5.2.2 full"), refused(accounts.CauseFull, "552 5.2.2")},
		"suppressed by SES": {bounce("Permanent", "Suppressed", "", ""), refused(accounts.CauseSuppressed, "")},
		"suppressed by us":  {bounce("Permanent", "OnAccountSuppressionList", "5.1.1", ""), refused(accounts.CauseSuppressed, "")},
		"of no reason":      {bounce("Permanent", "General", "5.0.0", "smtp; 554 delivery error"), refused(accounts.CauseRejected, "554")},
		"undetermined":      {bounce("Undetermined", "Undetermined", "", ""), refused(accounts.CauseRejected, "")},
		"on holiday":        {bounce("Transient", "General", "", ""), nil},
		"complaint":         {`{"eventType":"Complaint","mail":{"tags":{"mail-id":["` + mailID + `"]}},"complaint":{}}`, refused(accounts.CauseComplaint, "")},
		"rejected content":  {`{"eventType":"Reject","mail":{"tags":{"mail-id":["` + mailID + `"]}},"reject":{"reason":"Bad content"}}`, refused(accounts.CauseRejected, "")},
		"delivered":         {`{"eventType":"Delivery","mail":{"tags":{"mail-id":["` + mailID + `"]}}}`, nil},
		"without tags":      {strings.Replace(bounce("Permanent", "Suppressed", "", ""), "eventType", "notificationType", 1), refused(accounts.CauseSuppressed, "")},
		"of EventBridge":    {`{"source":"aws.ses","detail-type":"Email Bounced","detail":` + bounce("Permanent", "Suppressed", "", "") + `}`, refused(accounts.CauseSuppressed, "")},
	} {
		got, err := mailevents.Parse(c.body)
		if diff := cmp.Diff(mailevents.Event{Mail: uuid.MustParse(mailID), Undeliverable: c.want}, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	for _, tags := range []string{`{}`, `{"mail-id":["another program's"]}`, `{"mail-id":[]}`, `{"mail-id":["` + mailID + `","` + mailID + `"]}`} {
		if got, err := mailevents.Parse(`{"eventType":"Complaint","mail":{"tags":` + tags + `}}`); err != nil || got.Mail != uuid.Nil {
			t.Errorf("%s: %+v, %v", tags, got, err)
		}
	}
}

func TestWhatIsNoMailEvent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null ada@example.com", "[]", "{}", `{"Type":"Notification","Message":"ada@example.com"}`, `{"source":"aws.ses"}`, `{"mail":{"tags":3}}`} {
		_, err := mailevents.Parse(body)
		if !errors.Is(err, mailevents.ErrMalformed) || strings.Contains(err.Error(), "ada") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// From the mail that is sent through SES to what is told of it.
func TestMailsThatComeBack(t *testing.T) {
	t.Parallel()
	_, url := awssimtest.Serve(t, awssim.Config{ProductCode: "n0123", Plans: []awssim.Plan{{Dimension: "starter", Name: "Starter"}}})
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
	mailer, err := mail.NewSES(cfg, mail.SESSettings{Sender: mail.Sender{From: "no-reply@example.com"}, ConfigurationSet: "liveness"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[uuid.UUID]accounts.UndeliverableCause{}
	for address, cause := range map[string]accounts.UndeliverableCause{
		"bounce": accounts.CauseNoMailbox, "suppressionlist": accounts.CauseSuppressed, "complaint": accounts.CauseComplaint, "bounce+1": accounts.CauseNoMailbox, "success": "",
	} {
		id := uuid.New()
		if cause != "" {
			want[id] = cause
		}
		if err := mailer.Send(t.Context(), accounts.Mail{ID: id, To: address + "@simulator.amazonses.com", Subject: "s", Text: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := notifications.NewConsumer(cfg, notifications.Settings{QueueName: "mail-events", Wait: time.Second}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := map[uuid.UUID]accounts.UndeliverableCause{}
	if err := consumer.Run(ctx, mailevents.Handler(func(_ context.Context, id uuid.UUID, why accounts.UndeliverableError) error {
		if got[id] = why.Cause; len(got) == len(want) {
			cancel()
		}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
