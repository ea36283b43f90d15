package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/commands/tracing/tracingtest"
)

// Each message is a trace of its own, with what it leads to; looking for messages is none.
func TestMessagesAreShown(t *testing.T) { //nolint:paralleltest // what is recorded is the whole process's
	q := newQueue(t)
	q.put(t, "good", "bad", "worse")
	spans := tracingtest.Record()
	handled := make(chan string, 3)
	stop := q.consume(t, notifications.Settings{DeadLetterName: "marketplace-events-dead"}, func(ctx context.Context, m notifications.Message) error {
		_, span := tracing.Start(ctx, "follow "+m.Body)
		span.End(nil)
		handled <- m.Body
		switch m.Body {
		case "bad":
			return errors.New("the-customer is not known")
		case "worse":
			return fmt.Errorf("the-customer is not known: %w", notifications.ErrDeadLetter)
		}
		return nil
	})
	for range 3 {
		next(t, handled)
	}
	stop()
	fails := map[string]string{"good": "", "bad": "it was not handled, and comes again", "worse": "dead letter"}
	messages := spans.Named("handle message")
	if len(messages) != len(fails) {
		t.Errorf("%d messages are shown, want %d", len(messages), len(fails))
	}
	for body, fails := range fails {
		followed := spans.One(t, "follow "+body, "")
		for _, message := range messages {
			if message.SpanContext.SpanID() != followed.Parent.SpanID() {
				continue
			}
			if message.Parent.IsValid() || message.Status.Description != fails {
				t.Errorf("%s is below %v and ends with %+v", body, message.Parent, message.Status)
			}
		}
	}
	spans.WantNone(t, "the-customer", "ReceiveMessage")
}
