package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/tracing"
)

// Message is a message of the queue.
type Message struct {
	// ID is the queue's id of the message. Copies of one event have different ones.
	ID   string
	Body string
	// Receives counts how often it was received, this time included.
	Receives int
	SentAt   time.Time
}

// ErrDeadLetter wrapped in a handler's error moves the message to the dead-letter queue at once: no repetition would
// help. Without a dead-letter queue in the settings, the queue's own redrive policy does it after some receipts.
var ErrDeadLetter = errors.New("dead letter")

// Settings say which queue is read and how. Name or URL is required.
type Settings struct {
	// QueueName is looked up at the start; QueueURL needs no look-up and wins.
	QueueName string
	QueueURL  string
	// DeadLetterName or DeadLetterURL is where messages go that the handler gives up.
	DeadLetterName string
	DeadLetterURL  string
	// Endpoint replaces the service's address; the shared configuration's when empty.
	Endpoint string
	// Visibility is how long a message is hidden from other readers while it is handled; it is extended as long as that
	// takes. 1 minute when 0, at least 2 seconds.
	Visibility time.Duration
	// Wait is how long one poll waits for messages; 20 s, AWS's longest, when 0.
	Wait time.Duration
	// RetryDelay is how long a failed message is hidden at first, and 15 times as long from then on: a queue that gives up after
	// three receipts then waits half an hour, in which the service that failed may come back. 1 minute when 0.
	RetryDelay time.Duration
}

const (
	defaultRetryDelay = time.Minute
	retryGrowth       = 15
	// settleTimeout bounds what is done after the handler, even when the consumer is being stopped.
	settleTimeout = 10 * time.Second
)

// Consumer reads a queue. Any number of consumers may share one queue.
type Consumer struct {
	client   *sqs.Client
	settings Settings
	log      *slog.Logger
}

// NewConsumer makes a consumer of the shared configuration.
func NewConsumer(cfg aws.Config, s Settings, log *slog.Logger) (*Consumer, error) {
	if s.QueueName == "" && s.QueueURL == "" {
		return nil, errors.New("notifications: the queue's name or URL is required")
	}
	if s.Visibility == 0 {
		s.Visibility = time.Minute
	}
	if s.Wait == 0 {
		s.Wait = 20 * time.Second
	}
	if s.RetryDelay == 0 {
		s.RetryDelay = defaultRetryDelay
	}
	if s.Visibility < 2*time.Second || s.Visibility > 12*time.Hour || s.Wait < 0 || s.Wait > 20*time.Second || s.RetryDelay < 0 {
		return nil, errors.New("notifications: visibility is 2 s to 12 h, wait 0 to 20 s, retry delay not negative")
	}
	client := sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		if s.Endpoint != "" {
			o.BaseEndpoint = aws.String(s.Endpoint)
		}
	})
	return &Consumer{client: client, settings: s, log: log}, nil
}

// Run hands each message to handle until ctx ends, and then returns nil once the running handler has returned. A message is
// deleted only after handle returned nil; it may come again all the same, so handle must be idempotent. While AWS is not
// reachable Run keeps trying.
func (c *Consumer) Run(ctx context.Context, handle func(context.Context, Message) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 500*time.Millisecond, 30*time.Second
	var queue, dead string
	for ctx.Err() == nil {
		err := c.resolve(ctx, &queue, &dead)
		var messages []types.Message
		if err == nil {
			messages, err = c.receive(ctx, queue)
		}
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			wait := pause.NextBackOff()
			c.log.WarnContext(ctx, "cannot read the notification queue", "error", err, "retry_in", wait)
			_ = commands.Sleep(ctx, wait)
			continue
		}
		pause.Reset()
		for _, m := range messages {
			c.handle(ctx, queue, dead, m, handle)
		}
	}
	return nil
}

// resolve looks the queues' URLs up, once.
func (c *Consumer) resolve(ctx context.Context, queue, dead *string) error {
	for _, q := range []struct {
		url       *string
		set, name string
	}{{queue, c.settings.QueueURL, c.settings.QueueName}, {dead, c.settings.DeadLetterURL, c.settings.DeadLetterName}} {
		if *q.url != "" || q.set == "" && q.name == "" {
			continue
		}
		if *q.url = q.set; q.set != "" {
			continue
		}
		out, err := c.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(q.name)})
		if err != nil {
			return fmt.Errorf("look up queue %s: %w", q.name, err)
		}
		*q.url = aws.ToString(out.QueueUrl)
	}
	return nil
}

// receive asks for one message: one that waited behind another would be received, which its queue counts as a try, again with
// every stop or kill of a consumer, until the queue gives up what nobody has tried.
func (c *Consumer) receive(ctx context.Context, queue string) ([]types.Message, error) {
	// A poll that is not answered in its time and some more is broken.
	ctx, cancel := context.WithTimeout(ctx, c.settings.Wait+settleTimeout)
	defer cancel()
	out, err := c.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(queue), MaxNumberOfMessages: 1,
		WaitTimeSeconds: int32(c.settings.Wait.Seconds()), VisibilityTimeout: int32(c.settings.Visibility.Seconds()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	return out.Messages, nil
}

// handle has a message handled, and keeps it hidden from others meanwhile.
func (c *Consumer) handle(ctx context.Context, queue, dead string, m types.Message, handle func(context.Context, Message) error) {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keepHidden(keeping, queue, m) })
	message := readMessage(m)
	handling, span := tracing.StartOwn(ctx, "handle message", attribute.String("messaging.system", "aws_sqs"),
		attribute.String("messaging.message.id", message.ID), attribute.Int("liveness.message.receives", message.Receives))
	err := handle(handling, message)
	stop()
	keeper.Wait() // an extension that is answered late would undo what settle asks for
	c.settle(handling, queue, dead, m, message, err)
	span.End(unhandled(err))
}

// unhandled is what a span says of a handler's error, whose text may name customers: the log has it.
func unhandled(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrDeadLetter):
		return ErrDeadLetter
	}
	return errors.New("it was not handled, and comes again")
}

// settle does what the handler's answer asks for. It is finished even when the consumer is being stopped.
func (c *Consumer) settle(ctx context.Context, queue, dead string, m types.Message, message Message, handled error) {
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	log := c.log.With("message", message.ID, "receives", message.Receives)
	if handled != nil && errors.Is(handled, ErrDeadLetter) && dead != "" {
		log.ErrorContext(ctx, "notification moved to the dead-letter queue", "error", handled)
		if _, err := c.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(dead), MessageBody: aws.String(message.Body)}); err != nil {
			handled = fmt.Errorf("move to the dead-letter queue: %w", err)
		} else {
			handled = nil
		}
	}
	if handled == nil {
		// Deletion that fails only means that the message comes again.
		if _, err := c.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(queue), ReceiptHandle: m.ReceiptHandle}); err != nil {
			log.WarnContext(ctx, "cannot delete a handled notification", "error", err)
		}
		return
	}
	delay := c.retryDelay(message.Receives)
	if stopping {
		delay = 0
	} else {
		log.WarnContext(ctx, "notification not handled", "error", handled, "retry_in", delay)
	}
	c.hide(ctx, queue, m, delay)
}

func (c *Consumer) retryDelay(receives int) time.Duration {
	if receives > 1 {
		return c.settings.RetryDelay * retryGrowth
	}
	return c.settings.RetryDelay
}

// keepHidden extends how long a message is hidden well before that ends.
func (c *Consumer) keepHidden(ctx context.Context, queue string, m types.Message) {
	ticker := time.NewTicker(c.settings.Visibility / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.hide(ctx, queue, m, c.settings.Visibility)
		}
	}
}

// hide makes a message visible again after a time. What fails is only logged: it becomes visible earlier or later.
func (c *Consumer) hide(ctx context.Context, queue string, m types.Message, d time.Duration) {
	_, err := c.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: aws.String(queue), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: int32(d.Seconds()),
	})
	if err != nil && ctx.Err() == nil {
		c.log.WarnContext(ctx, "cannot change the visibility of a notification", "error", err)
	}
}

func readMessage(m types.Message) Message {
	receives, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if err != nil {
		receives = 1
	}
	sent, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	message := Message{ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Receives: receives}
	if err == nil {
		message.SentAt = time.UnixMilli(sent).UTC()
	}
	return message
}
