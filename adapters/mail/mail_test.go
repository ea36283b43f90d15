package mail_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

// delivered is a mail as its reader sees it.
type delivered struct {
	From, To, Subject, Text, HTML string
}

// service is a delivery service that the suite can look into and disturb.
type service interface {
	// mailer makes a mailer that sends as sender.
	mailer(t *testing.T, sender mail.Sender) (accounts.Mailer, error)
	// delivered lists what arrived, oldest first.
	delivered(t *testing.T) []delivered
	// fail makes the next attempts fail in the way of a class until succeed.
	fail(t *testing.T, class mail.Class)
	succeed(t *testing.T)
}

// services are the implementations that must behave alike.
var services = map[string]func(*testing.T) service{"SES": newSES, "SMTP": newSMTP}

func eachService(t *testing.T, test func(*testing.T, service)) {
	t.Helper()
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func mailerOf(t *testing.T, s service) accounts.Mailer {
	t.Helper()
	m, err := s.mailer(t, mail.Sender{From: "Liveness – Prüfung <no-reply@prüfung.example>", ReplyTo: "support@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func letter(to string) accounts.Mail {
	return accounts.Mail{ID: uuid.New(), To: to, Subject: "Verify", Text: "text\n", HTML: "<p>html</p>\n"}
}

// class is the class of a failure, or "" when the error is none of ours.
func class(err error) mail.Class {
	if e, ok := errors.AsType[*mail.Error](err); ok {
		if (e.Class == mail.Permanent) != errors.Is(err, accounts.ErrUndeliverable) {
			return "permanent but not accounts.ErrUndeliverable, or the other way round"
		}
		return e.Class
	}
	return ""
}

func TestMailsArriveAsWritten(t *testing.T) {
	t.Parallel()
	long := "Größe" + strings.Repeat(" 日本語", 60)
	tests := map[string]struct {
		mail accounts.Mail
		want delivered
	}{
		"plain": {
			accounts.Mail{To: "Ada@example.com", Subject: "Verify", Text: "Open https://example.com/?t=" + strings.Repeat("a", 300) + "\n.\nEnd", HTML: "<p>Grüße = 日本</p>"},
			delivered{To: "ada@example.com", Subject: "Verify", Text: "Open https://example.com/?t=" + strings.Repeat("a", 300) + "\n.\nEnd", HTML: "<p>Grüße = 日本</p>"},
		},
		"not ASCII":             {accounts.Mail{To: "ada@müller.example", Subject: long, Text: long}, delivered{To: "ada@xn--mller-kva.example", Subject: long, Text: long}},
		"HTML alone":            {accounts.Mail{To: "ada@example.com", Subject: "s", HTML: "<p>x</p>"}, delivered{To: "ada@example.com", Subject: "s", HTML: "<p>x</p>"}},
		"header in the subject": {accounts.Mail{To: "ada@example.com", Subject: "Hello\r\nBcc: eve@example.com\r\n\r\nbody", Text: "t"}, delivered{To: "ada@example.com", Subject: "Hello Bcc: eve@example.com body", Text: "t"}},
		"broken UTF-8 subject":  {accounts.Mail{To: "ada@example.com", Subject: "a\xffb\u2028c\x00", Text: "t"}, delivered{To: "ada@example.com", Subject: "a\ufffdb c", Text: "t"}},
	}
	eachService(t, func(t *testing.T, s service) {
		mailer := mailerOf(t, s)
		for name, tt := range tests {
			tt.mail.ID = uuid.New()
			if err := mailer.Send(t.Context(), tt.mail); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all := s.delivered(t)
			tt.want.From = `Liveness – Prüfung <no-reply@xn--prfung-4ya.example>`
			if diff := cmp.Diff(tt.want, all[len(all)-1]); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if n := len(s.delivered(t)); n != len(tests) {
			t.Errorf("%d mails arrived, want %d", n, len(tests))
		}
	})
}

// No address can carry a second recipient, a header, or anything that delivery services do not take.
func TestImpossibleRecipients(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s service) {
		mailer := mailerOf(t, s)
		for _, to := range []string{
			"", "ada", "@example.com", "ada@", "ada@example.com, eve@example.com", "Ada <ada@example.com>", "ada@example.com\r\nBcc: eve@example.com",
			"ada@example.com\n", "ada\x00@example.com", "日本@example.com", "ada@exa mple.com", "ada@-bad-.example", strings.Repeat("a", 10_000), "<script>@example.com",
		} {
			err := mailer.Send(t.Context(), letter(to))
			if class(err) != mail.Permanent {
				t.Errorf("%.40q: %v", to, err)
			}
			if len(to) > 3 && err != nil && strings.Contains(err.Error(), to) {
				t.Errorf("the error quotes the address: %v", err)
			}
		}
		empty := letter("ada@example.com")
		empty.Text, empty.HTML = "", ""
		if err := mailer.Send(t.Context(), empty); class(err) != mail.Permanent {
			t.Errorf("empty mail: %v", err)
		}
		if list := s.delivered(t); len(list) != 0 {
			t.Errorf("arrived: %+v", list)
		}
	})
}

func TestFailuresHaveAClass(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s service) {
		mailer := mailerOf(t, s)
		for _, want := range []mail.Class{mail.Retry, mail.Permanent, mail.Configuration} {
			s.fail(t, want)
			err := mailer.Send(t.Context(), letter("ada@example.com"))
			if class(err) != want {
				t.Errorf("failure %v, want class %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "ada") {
				t.Errorf("the error quotes the address: %v", err)
			}
			s.succeed(t)
			if err := mailer.Send(t.Context(), letter("ada@example.com")); err != nil {
				t.Errorf("after class %s: %v", want, err)
			}
		}
	})
}

func TestCancelledSendIsNotSent(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s service) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := mailerOf(t, s).Send(ctx, letter("ada@example.com"))
		if class(err) != mail.Retry || !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if list := s.delivered(t); len(list) != 0 {
			t.Errorf("arrived: %+v", list)
		}
	})
}

func TestImpossibleSenders(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s service) {
		for _, sender := range []mail.Sender{{}, {From: "nobody"}, {From: "ü@example.com"}, {From: "a@example.com", ReplyTo: "x"}, {From: "a@example.com\r\nBcc: b@example.com"}} {
			if _, err := s.mailer(t, sender); err == nil {
				t.Errorf("sender %+v was accepted", sender)
			}
		}
	})
}
