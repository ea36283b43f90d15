package awssim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/awssim"
)

func email(from, to, subject string) *sesv2.SendEmailInput {
	utf8 := aws.String("UTF-8")
	return &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(from),
		Destination:      &types.Destination{ToAddresses: []string{to}},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: &types.Content{Data: aws.String(subject), Charset: utf8},
			Body: &types.Body{
				Text: &types.Content{Data: aws.String("Verify: https://example.com/v?t=1.\nHelp: http://example.com/help"), Charset: utf8},
				Html: &types.Content{Data: aws.String("<p>Grüße</p>"), Charset: utf8},
			},
		}},
	}
}

func TestSendEmailReachesTheMailbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out, err := w.ses.SendEmail(t.Context(), email("Liveness <no-reply@example.com>", "=?utf-8?q?J=C3=BCrgen?= <Ada@xn--mller-kva.example>", "Überprüfung ✓"))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"ada@müller.example", "ADA@xn--mller-kva.example", ""} {
		list, err := w.sim.Messages(t.Context(), to)
		if err != nil || len(list) != 1 {
			t.Fatalf("mailbox of %q: %+v, %v", to, list, err)
		}
		want := awssim.Mail{
			ID: aws.ToString(out.MessageId), From: `"Liveness" <no-reply@example.com>`, To: []string{"ada@xn--mller-kva.example"}, ToNames: []string{"Jürgen"},
			Subject: "Überprüfung ✓", Text: "Verify: https://example.com/v?t=1.\nHelp: http://example.com/help", HTML: "<p>Grüße</p>",
			Links: []string{"https://example.com/v?t=1", "http://example.com/help"}, SentAt: w.clock.Now(),
		}
		if diff := cmp.Diff(want, list[0], cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".seq" }, cmp.Ignore())); diff != "" {
			t.Error(diff)
		}
	}
	if err := w.sim.ClearMessages(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := w.sim.Messages(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("after clearing: %+v, %v", list, err)
	}
}

func TestSendEmailOfVerifiedSendersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *awssim.Config) {
		c.Senders, c.ConfigurationSets = []string{"example.com", "ada@example.org"}, []string{"liveness"}
	})
	for name, tt := range map[string]struct{ from, set, code string }{
		"of a domain":      {"Liveness <no-reply@EXAMPLE.com>", "liveness", ""},
		"an address":       {"ada@example.org", "", ""},
		"another address":  {"bob@example.org", "liveness", "MessageRejected"},
		"of no one":        {"no-reply@notexample.com", "liveness", "MessageRejected"},
		"of a missing set": {"no-reply@example.com", "livenes", "NotFoundException"},
	} {
		in := email(tt.from, "ada@example.com", "Hello")
		if tt.set != "" {
			in.ConfigurationSetName = &tt.set
		}
		_, err := w.ses.SendEmail(t.Context(), in)
		if tt.code != "" {
			wantCode(t, err, tt.code)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendEmailRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, in := range map[string]*sesv2.SendEmailInput{
		"non-ASCII domain":      email("a@example.com", "ada@müller.example", "s"),
		"non-ASCII local part":  email("a@example.com", "ü@example.com", "s"),
		"line break in To":      email("a@example.com", "ada@example.com\r\nBcc: x@example.com", "s"),
		"line break in From":    email("a@example.com\r\nBcc: x@example.com", "ada@example.com", "s"),
		"line break in subject": email("a@example.com", "ada@example.com", "s\r\nBcc: x@example.com"),
		"no address":            email("a@example.com", "", "s"),
		"not an address":        email("a@example.com", "ada", "s"),
	} {
		if _, err := w.ses.SendEmail(t.Context(), in); err == nil {
			t.Errorf("%s was accepted", name)
		} else {
			wantCode(t, err, "BadRequestException")
		}
	}
}
