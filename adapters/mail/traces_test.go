package mail_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/commands/tracing/tracingtest"
)

// A mail that is handed to a service is shown in the trace of what it follows from, by its id alone.
func TestSendingIsShown(t *testing.T) { //nolint:paralleltest // what is recorded is the whole process's
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			mailer := mailerOf(t, s)
			for _, class := range []mail.Class{"", mail.Retry, mail.Permanent, mail.Configuration} {
				s.succeed(t)
				if class != "" {
					s.fail(t, class)
				}
				spans, fails := tracingtest.Record(), ""
				ctx, reaction := tracing.StartOwn(t.Context(), "react")
				if err := mailer.Send(ctx, letter("ada@example.com")); err != nil {
					fails = err.Error()
				}
				reaction.End(nil)
				if (fails == "") != (class == "") {
					t.Errorf("class %q: %q", class, fails)
				}
				sent := spans.One(t, "send mail", fails)
				if above := spans.One(t, "react", "").SpanContext.SpanID(); sent.Parent.SpanID() != above {
					t.Errorf("the mail is below %v, want %v", sent.Parent.SpanID(), above)
				}
				spans.WantNone(t, "ada@", "Verify", password)
			}
		})
	}
}
