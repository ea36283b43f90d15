package awssim

import (
	"context"
	"crypto/md5"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxMessageBody = 1 << 20

type messageAttribute struct {
	DataType    string
	StringValue string `json:",omitempty"`
	BinaryValue string `json:",omitempty"` // base64
}

type sendInput struct {
	QueueURL          string `json:"QueueUrl"`
	MessageBody       string
	DelaySeconds      *int
	MessageAttributes map[string]messageAttribute
}

type sendOutput struct {
	MessageID              string `json:"MessageId"`
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
}

func (s *Sim) sendMessage(ctx context.Context, _ *call, in sendInput) (any, error) {
	if in.MessageBody == "" || len(in.MessageBody) > maxMessageBody {
		return nil, invalidValue("One or more parameters are invalid. Reason: Message must be between 1 and %d bytes.", maxMessageBody)
	}
	if err := checkRange("DelaySeconds", in.DelaySeconds); err != nil {
		return nil, err
	}
	name := queueName(in.QueueURL)
	q, err := s.queue(ctx, name)
	if err != nil {
		return nil, err
	}
	delay := q.duration("DelaySeconds", 0)
	if in.DelaySeconds != nil {
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	attributes, err := json.Marshal(in.MessageAttributes)
	if err != nil {
		return nil, err
	}
	out := sendOutput{MD5OfMessageBody: md5Hex([]byte(in.MessageBody))}
	if out.MD5OfMessageAttributes, err = md5OfAttributes(in.MessageAttributes); err != nil {
		return nil, err
	}
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		out.MessageID, err = s.insertMessage(ctx, tx, name, in.MessageBody, string(attributes), delay)
		return err
	})
	s.arrivals.wake()
	return out, err
}

type receiveInput struct {
	QueueURL                    string `json:"QueueUrl"`
	MaxNumberOfMessages         *int
	WaitTimeSeconds             *int
	VisibilityTimeout           *int
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type receivedMessage struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string           `json:",omitempty"`
	MessageAttributes      map[string]messageAttribute `json:",omitempty"`
	MD5OfMessageAttributes string                      `json:",omitempty"`
}

// receiveMessage waits, at most as long as asked, until a message is visible.
func (s *Sim) receiveMessage(ctx context.Context, _ *call, in receiveInput) (any, error) {
	err := errors.Join(checkRange("MaxNumberOfMessages", in.MaxNumberOfMessages), checkRange("WaitTimeSeconds", in.WaitTimeSeconds),
		checkRange("VisibilityTimeout", in.VisibilityTimeout))
	if err != nil {
		return nil, err
	}
	name := queueName(in.QueueURL)
	q, err := s.queue(ctx, name)
	if err != nil {
		return nil, err
	}
	limit, wait := 1, q.duration("ReceiveMessageWaitTimeSeconds", 0)
	if in.MaxNumberOfMessages != nil {
		limit = *in.MaxNumberOfMessages
	}
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		arrived := s.arrivals.next()
		list, next, err := s.takeMessages(ctx, name, limit, in.VisibilityTimeout)
		if err != nil || len(list) > 0 || wait == 0 {
			return receivedMessages(list, in), err
		}
		if !s.waitForMessage(ctx, deadline.C, arrived, next) {
			return receivedMessages(nil, in), nil
		}
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
}

// waitForMessage returns false when the poll is over: its time, its client or the simulator has gone.
func (s *Sim) waitForMessage(ctx context.Context, deadline <-chan time.Time, arrived <-chan struct{}, next time.Time) bool {
	var visible <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		visible = timer.C
	}
	select {
	case <-arrived:
	case <-visible:
	case <-deadline:
		return false
	case <-ctx.Done():
		return false
	case <-s.closed:
		return false
	}
	return true
}

func receivedMessages(list []queueMessage, in receiveInput) any {
	out := make([]receivedMessage, 0, len(list))
	for _, m := range list {
		item := receivedMessage{MessageID: m.id, ReceiptHandle: receiptHandle(m), MD5OfBody: md5Hex([]byte(m.body)), Body: m.body}
		system := map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.receives), "SentTimestamp": strconv.FormatInt(m.sentAt, 10),
			"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstReceived, 10), "SenderId": "AIDAIENQZJOLO23YVJ4VO",
		}
		wanted := append(slices.Clone(in.AttributeNames), in.MessageSystemAttributeNames...)
		if !slices.Contains(wanted, "All") {
			maps.DeleteFunc(system, func(name, _ string) bool { return !slices.Contains(wanted, name) })
		}
		item.Attributes = system
		var attributes map[string]messageAttribute
		if err := json.Unmarshal([]byte(m.attributes), &attributes); err == nil {
			maps.DeleteFunc(attributes, func(name string, _ messageAttribute) bool { return !attributeWanted(name, in.MessageAttributeNames) })
			item.MessageAttributes = attributes
			item.MD5OfMessageAttributes, _ = md5OfAttributes(attributes) // they were readable when they came
		}
		out = append(out, item)
	}
	return map[string]any{"Messages": out}
}

func attributeWanted(name string, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool {
		prefix, isPrefix := strings.CutSuffix(w, ".*")
		return w == "All" || w == name || isPrefix && strings.HasPrefix(name, prefix)
	})
}

type handleInput struct {
	QueueURL          string `json:"QueueUrl"`
	ReceiptHandle     string
	VisibilityTimeout int
}

func (s *Sim) deleteOne(ctx context.Context, _ *call, in handleInput) (any, error) {
	return s.onMessage(ctx, queueName(in.QueueURL), func(tx *sql.Tx, name string) error { return deleteMessage(ctx, tx, name, in.ReceiptHandle) })
}

func (s *Sim) changeVisibility(ctx context.Context, _ *call, in handleInput) (any, error) {
	return s.onMessage(ctx, queueName(in.QueueURL), func(tx *sql.Tx, name string) error {
		return hideMessage(ctx, tx, name, in.ReceiptHandle, in.VisibilityTimeout)
	})
}

// onMessage changes a message of an existing queue and wakes waiting polls, because it may have become visible.
func (s *Sim) onMessage(ctx context.Context, name string, fn func(tx *sql.Tx, name string) error) (any, error) {
	if _, err := s.queue(ctx, name); err != nil {
		return nil, err
	}
	err := s.db.tx(ctx, func(tx *sql.Tx) error { return fn(tx, name) })
	s.arrivals.wake()
	return nil, err
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the digest clients check: over names, types and values in the order of names, each with its length.
func md5OfAttributes(attributes map[string]messageAttribute) (string, error) {
	if len(attributes) == 0 {
		return "", nil
	}
	var b []byte
	field := func(v []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		field([]byte(name))
		field([]byte(a.DataType))
		if !strings.HasPrefix(a.DataType, "Binary") {
			b = append(b, 1)
			field([]byte(a.StringValue))
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(a.BinaryValue)
		if err != nil {
			return "", invalidValue("The value of attribute %s is not valid base64.", name)
		}
		b = append(b, 2)
		field(raw)
	}
	return md5Hex(b), nil
}
