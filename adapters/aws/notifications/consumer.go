package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	// batchSize is one: a message that waited behind another would be received, which its queue counts as a try, again with every
	// stop or kill of a consumer, until the queue gives up what nobody has tried.
	batchSize = 1
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
		c.handleBatch(ctx, queue, dead, messages, handle)
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

func (c *Consumer) receive(ctx context.Context, queue string) ([]types.Message, error) {
	// A poll that is not answered in its time and some more is broken.
	ctx, cancel := context.WithTimeout(ctx, c.settings.Wait+settleTimeout)
	defer cancel()
	out, err := c.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(queue), MaxNumberOfMessages: batchSize,
		WaitTimeSeconds: int32(c.settings.Wait.Seconds()), VisibilityTimeout: int32(c.settings.Visibility.Seconds()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	return out.Messages, nil
}

// handleBatch handles messages one after the other and keeps those hidden that wait for their turn.
func (c *Consumer) handleBatch(ctx context.Context, queue, dead string, messages []types.Message, handle func(context.Context, Message) error) {
	if len(messages) == 0 {
		return
	}
	held := newHeld(messages)
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keepHidden(keeping, queue, held) })
	for _, m := range messages {
		if ctx.Err() != nil {
			break // the rest becomes visible to others by itself
		}
		message := readMessage(m)
		handling, span := tracing.StartOwn(ctx, "handle message", attribute.String("messaging.system", "aws_sqs"),
			attribute.String("messaging.message.id", message.ID), attribute.Int("liveness.message.receives", message.Receives))
		err := handle(handling, message)
		held.drop(m)
		c.settle(handling, queue, dead, m, message, err)
		span.End(unhandled(err))
	}
	stop()
	keeper.Wait()
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
	c.hide(ctx, queue, map[string]*string{message.ID: m.ReceiptHandle}, delay)
}

func (c *Consumer) retryDelay(receives int) time.Duration {
	if receives > 1 {
		return c.settings.RetryDelay * retryGrowth
	}
	return c.settings.RetryDelay
}

// keepHidden extends the visibility of held messages well before it ends.
func (c *Consumer) keepHidden(ctx context.Context, queue string, held *held) {
	ticker := time.NewTicker(c.settings.Visibility / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.hide(ctx, queue, held.handles(), c.settings.Visibility)
		}
	}
}

// hide makes messages visible again after a time. What fails is only logged: they become visible earlier or later.
func (c *Consumer) hide(ctx context.Context, queue string, handles map[string]*string, d time.Duration) {
	if len(handles) == 0 {
		return
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, 0, len(handles))
	for id, handle := range handles {
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(id), ReceiptHandle: handle, VisibilityTimeout: int32(d.Seconds())})
	}
	out, err := c.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(queue), Entries: entries})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.log.WarnContext(ctx, "cannot change the visibility of notifications", "error", err)
	case len(out.Failed) > 0:
		c.log.WarnContext(ctx, "cannot change the visibility of some notifications", "count", len(out.Failed), "code", aws.ToString(out.Failed[0].Code))
	}
}

// held are the messages of a batch that are not handled yet, by id.
type held struct {
	mu   sync.Mutex
	list map[string]*string
}

func newHeld(messages []types.Message) *held {
	h := &held{list: make(map[string]*string, len(messages))}
	for _, m := range messages {
		h.list[aws.ToString(m.MessageId)] = m.ReceiptHandle
	}
	return h
}

func (h *held) drop(m types.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.list, aws.ToString(m.MessageId))
}

func (h *held) handles() map[string]*string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.list)
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
