package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
)

// queue is the simulator's event queue.
type queue struct {
	sim    *awssim.Sim
	cfg    aws.Config
	client *sqs.Client
}

func newQueue(t *testing.T, change ...func(*awssim.Config)) *queue {
	t.Helper()
	cfg := awssim.Config{ProductCode: "n0123", Plans: []awssim.Plan{{Dimension: "starter", Name: "Starter", MonthlyCalls: 1000, PriceUSD: 180}}, Seed: 11}
	for _, c := range change {
		c(&cfg)
	}
	sim, url := awssimtest.Serve(t, cfg)
	q := &queue{sim: sim, cfg: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}}
	q.client = sqs.NewFromConfig(q.cfg)
	return q
}

func (q *queue) put(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := q.sim.PutEvent(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
}

// left is how many messages a queue holds, visible or not.
func (q *queue) left(t *testing.T, name string) int {
	t.Helper()
	url, err := q.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := q.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	var visible, hidden int
	if _, err := fmt.Sscan(out.Attributes["ApproximateNumberOfMessages"]+" "+out.Attributes["ApproximateNumberOfMessagesNotVisible"], &visible, &hidden); err != nil {
		t.Fatal(err)
	}
	return visible + hidden
}

// consume runs a consumer and returns how to stop it and wait for its end.
func (q *queue) consume(t *testing.T, s notifications.Settings, handle func(context.Context, notifications.Message) error) (stop func()) {
	t.Helper()
	s.QueueName = "marketplace-events"
	consumer, err := notifications.NewConsumer(q.cfg, s, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx, handle) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consumer: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing happened for a minute")
		panic("unreachable")
	}
}

func TestHandledMessagesAreDeleted(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	got := make(chan notifications.Message, 20)
	stop := q.consume(t, notifications.Settings{}, func(_ context.Context, m notifications.Message) error {
		got <- m
		return nil
	})
	bodies := map[string]bool{}
	for i := range 12 {
		q.put(t, fmt.Sprint("message ", i))
	}
	for range 12 {
		m := next(t, got)
		if m.Receives != 1 || time.Since(m.SentAt).Abs() > time.Minute || m.ID == "" {
			t.Errorf("message %+v", m)
		}
		bodies[m.Body] = true
	}
	stop()
	if n := q.left(t, "marketplace-events"); n != 0 || len(bodies) != 12 {
		t.Errorf("%d messages are left, %d were different", n, len(bodies))
	}
}

// A queue that gives a message up after three receipts waits long enough for AWS to come back, and not longer than the hour in
// which AWS takes the usage of what has ended.
func TestThreeReceiptsOutlastAnOutage(t *testing.T) {
	t.Parallel()
	consumer, err := notifications.NewConsumer(aws.Config{Region: "us-east-1"}, notifications.Settings{QueueName: "any"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var total time.Duration
	for receipt := 1; receipt < 3; receipt++ {
		total += consumer.RetryDelay(receipt)
	}
	if total < 15*time.Minute || total+consumer.RetryDelay(3) > time.Hour {
		t.Errorf("the third receipt comes %s after the first, the message is given up after %s", total, total+consumer.RetryDelay(3))
	}
}

func TestFailedMessagesComeAgain(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	got := make(chan int, 9)
	stop := q.consume(t, notifications.Settings{RetryDelay: time.Millisecond}, func(_ context.Context, m notifications.Message) error {
		got <- m.Receives
		if m.Receives < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	q.put(t, "stubborn")
	for want := 1; want <= 3; want++ {
		if receives := next(t, got); receives != want {
			t.Errorf("receipt %d, want %d", receives, want)
		}
	}
	stop()
	if n := q.left(t, "marketplace-events"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// Nothing is lost when a message is given up: by the consumer at once, or by the queue after some receipts.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]notifications.Settings{
		"by the consumer":   {DeadLetterName: "marketplace-events-dead"},
		"by the queue":      {RetryDelay: time.Millisecond},
		"at the second try": {DeadLetterName: "marketplace-events-dead", RetryDelay: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(t)
			if name == "at the second try" {
				if _, err := q.sim.SetFault(awssim.Fault{Operation: "SendMessage", Kind: awssim.FaultException, Code: "InvalidMessageContents", Times: 1}); err != nil {
					t.Fatal(err)
				}
			}
			stop := q.consume(t, s, func(context.Context, notifications.Message) error {
				return fmt.Errorf("%w: cannot be read", notifications.ErrDeadLetter)
			})
			q.put(t, "poison")
			dead, err := q.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("marketplace-events-dead")})
			if err != nil {
				t.Fatal(err)
			}
			out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: dead.QueueUrl, WaitTimeSeconds: 20})
			if err != nil || len(out.Messages) != 1 || aws.ToString(out.Messages[0].Body) != "poison" {
				t.Errorf("dead letters %+v, %v", out, err)
			}
			stop()
			if n := q.left(t, "marketplace-events"); n != 0 {
				t.Errorf("%d messages are left", n)
			}
		})
	}
}

// A handler may take longer than messages are hidden: nobody else gets them meanwhile.
func TestVisibilityIsExtended(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	const visibility = 4 * time.Second // a busy machine may be late by half of it
	started, finish := make(chan struct{}), make(chan struct{})
	handled := make(chan string, 9)
	stop := q.consume(t, notifications.Settings{Visibility: visibility}, func(ctx context.Context, m notifications.Message) error {
		started <- struct{}{}
		select {
		case <-finish:
		case <-ctx.Done():
		}
		handled <- m.Body
		return nil
	})
	q.put(t, "slow")
	next(t, started)
	url, err := q.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("marketplace-events")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, WaitTimeSeconds: 6}) // longer than the visibility
	if err != nil || len(out.Messages) != 0 {
		t.Errorf("another reader got %+v, %v", out.Messages, err)
	}
	close(finish)
	next(t, handled)
	stop()
	if n := q.left(t, "marketplace-events"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// Nobody receives what waits behind a message that is handled: a queue that gives a message up after three receipts counts the tries
// of it alone, however often consumers are stopped.
func TestWhatWaitsIsNotReceived(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.put(t, "1", "2", "3", "4", "5")
	tried := map[string]int{}
	for range 3 {
		started := make(chan notifications.Message, 1)
		stop := q.consume(t, notifications.Settings{Visibility: 10 * time.Second}, func(ctx context.Context, m notifications.Message) error {
			started <- m
			<-ctx.Done()
			return ctx.Err()
		})
		tried[next(t, started).Body]++
		stop()
	}
	got := make(chan notifications.Message, 5)
	q.consume(t, notifications.Settings{}, func(_ context.Context, m notifications.Message) error {
		got <- m
		return nil
	})
	for range 5 - len(tried) {
		m := next(t, got)
		for tried[m.Body] > 0 {
			m = next(t, got)
		}
		if m.Receives != 1 {
			t.Errorf("message %s was received %d times before it was tried once", m.Body, m.Receives-1)
		}
	}
}

// Stopping lets the running handler end, deletes what it finished, and gives back what it did not.
func TestStopInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		left int
	}{"finished": {nil, 0}, "given up": {context.Canceled, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(t)
			started := make(chan struct{}, 1)
			stop := q.consume(t, notifications.Settings{}, func(ctx context.Context, _ notifications.Message) error {
				started <- struct{}{}
				<-ctx.Done()
				return tt.err
			})
			q.put(t, "last")
			next(t, started)
			stop()
			if n := q.left(t, "marketplace-events"); n != tt.left {
				t.Errorf("%d messages are left, want %d", n, tt.left)
			}
			if tt.left > 0 { // it is visible at once
				got := make(chan int, 1)
				q.consume(t, notifications.Settings{}, func(_ context.Context, m notifications.Message) error {
					got <- m.Receives
					return nil
				})
				if receives := next(t, got); receives != 2 {
					t.Errorf("receipt %d", receives)
				}
			}
		})
	}
}

func TestConsumerOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	if _, err := q.sim.SetFault(awssim.Fault{Service: "sqs", Kind: awssim.FaultException, Code: "InvalidAddress", Times: 2}); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	q.consume(t, notifications.Settings{}, func(_ context.Context, m notifications.Message) error {
		got <- m.Body
		return nil
	})
	q.put(t, "after the outage")
	if body := next(t, got); body != "after the outage" {
		t.Errorf("got %q", body)
	}
}

func TestImpossibleSettings(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]notifications.Settings{
		"no queue": {}, "short visibility": {QueueName: "q", Visibility: time.Second}, "long wait": {QueueName: "q", Wait: time.Minute},
	} {
		if _, err := notifications.NewConsumer(aws.Config{}, s, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
