package awssim_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (w *world) queue(t *testing.T, name string, attributes map[string]string) string {
	t.Helper()
	out, err := w.sqs.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}

func (w *world) send(t *testing.T, url, body string) {
	t.Helper()
	if _, err := w.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: aws.String(url), MessageBody: aws.String(body)}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) receive(t *testing.T, url string, wait int32) []types.Message {
	t.Helper()
	out, err := w.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{
		QueueUrl: aws.String(url), WaitTimeSeconds: wait, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func TestQueueRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.queue(t, "jobs", nil)
	if again := w.queue(t, "jobs", nil); again != url {
		t.Errorf("created again: %s, want %s", again, url)
	}
	found, err := w.sqs.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String("jobs")})
	if err != nil || aws.ToString(found.QueueUrl) != url {
		t.Errorf("GetQueueUrl: %v, %v", found, err)
	}
	_, err = w.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{
		QueueUrl: aws.String(url), MessageBody: aws.String("grüße"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"kind": {DataType: aws.String("String"), StringValue: aws.String("ü")},
			"raw":  {DataType: aws.String("Binary"), BinaryValue: []byte{1, 2, 3}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	list := w.receive(t, url, 0) // the SDK checks the digests
	if len(list) != 1 || aws.ToString(list[0].Body) != "grüße" || list[0].Attributes["ApproximateReceiveCount"] != "1" ||
		string(list[0].MessageAttributes["raw"].BinaryValue) != "\x01\x02\x03" {
		t.Fatalf("received %+v", list)
	}
	if hidden := w.receive(t, url, 0); len(hidden) != 0 {
		t.Errorf("a message in flight was received again")
	}
	if _, err := w.sqs.ChangeMessageVisibility(t.Context(), &awssqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(url), ReceiptHandle: list[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	again := w.receive(t, url, 0)
	if len(again) != 1 || again[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("received again %+v", again)
	}
	remove := func(handle *string) {
		t.Helper()
		if _, err := w.sqs.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: aws.String(url), ReceiptHandle: handle}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		t.Helper()
		out, err := w.sqs.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
	}
	remove(list[0].ReceiptHandle) // an old receipt deletes nothing, without an error
	if left() != "0+1" {
		t.Errorf("after deleting by an old receipt: %s", left())
	}
	remove(again[0].ReceiptHandle)
	if left() != "0+0" {
		t.Errorf("after deleting: %s", left())
	}
}

func TestRangesOfSQS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.queue(t, "jobs", nil)
	for _, seconds := range []int32{-1, 0, 900, 901, 43200, 43201} {
		_, sent := w.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), DelaySeconds: seconds})
		_, received := w.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &url, VisibilityTimeout: seconds})
		attribute := func(name string) error {
			_, err := w.sqs.SetQueueAttributes(t.Context(), &awssqs.SetQueueAttributesInput{
				QueueUrl: &url, Attributes: map[string]string{name: strconv.Itoa(int(seconds))},
			})
			return err
		}
		for name, of := range map[string]struct {
			err  error
			most int32
			code string
		}{
			"SendMessage": {sent, 900, "InvalidParameterValue"}, "DelaySeconds": {attribute("DelaySeconds"), 900, "InvalidAttributeValue"},
			"ReceiveMessage":    {received, 43200, "InvalidParameterValue"},
			"VisibilityTimeout": {attribute("VisibilityTimeout"), 43200, "InvalidAttributeValue"},
			"Wait":              {attribute("ReceiveMessageWaitTimeSeconds"), 20, "InvalidAttributeValue"},
		} {
			if seconds < 0 || seconds > of.most {
				wantCode(t, of.err, of.code)
			} else if of.err != nil {
				t.Errorf("%s %d: %v", name, seconds, of.err)
			}
		}
	}
}

func TestLongPollWakesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.queue(t, "jobs", nil)
	got := make(chan []types.Message, 1)
	go func() {
		out, err := w.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: aws.String(url), WaitTimeSeconds: 20})
		if err != nil {
			t.Error(err)
			got <- nil
			return
		}
		got <- out.Messages
	}()
	w.send(t, url, "late")
	select {
	case list := <-got:
		if len(list) != 1 {
			t.Errorf("received %+v", list)
		}
	case <-time.After(time.Minute):
		t.Error("the long poll did not notice the message")
	}
}

// A poll also ends when a hidden message becomes visible again.
func TestLongPollSeesReturningMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.queue(t, "jobs", map[string]string{"VisibilityTimeout": "1"})
	w.send(t, url, "again")
	if list := w.receive(t, url, 0); len(list) != 1 {
		t.Fatalf("received %+v", list)
	}
	if list := w.receive(t, url, 20); len(list) != 1 || list[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("received %+v", list)
	}
}

func TestLongPollEndsWithItsClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.queue(t, "jobs", nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := w.sqs.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: aws.String(url), WaitTimeSeconds: 20})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.send(t, url, "for others")
	if list := w.receive(t, url, 20); len(list) != 1 {
		t.Error("the abandoned poll took the message")
	}
}

func TestRedrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.queue(t, "jobs-dead", nil)
	url := w.queue(t, "jobs", map[string]string{
		"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111122223333:jobs-dead","maxReceiveCount":"2"}`,
	})
	w.send(t, url, "poison")
	for i := range 2 {
		if list := w.receive(t, url, 0); len(list) != 1 {
			t.Fatalf("receipt %d: %+v", i+1, list)
		}
	}
	if list := w.receive(t, url, 0); len(list) != 0 {
		t.Errorf("received a third time: %+v", list)
	}
	if list := w.receive(t, dead, 0); len(list) != 1 || aws.ToString(list[0].Body) != "poison" {
		t.Errorf("dead-letter queue: %+v", list)
	}
}

func TestQueueErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.queue(t, "jobs", nil)
	_, err := w.sqs.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String("none")})
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		t.Errorf("error %v is not typed", err)
	}
	wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue") // what clients that still speak the old protocol look for
	_, err = w.sqs.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: aws.String(url), ReceiptHandle: aws.String("nonsense")})
	if _, ok := errors.AsType[*types.ReceiptHandleIsInvalid](err); !ok {
		t.Errorf("error %v is not typed", err)
	}
	_, err = w.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: aws.String(url), MaxNumberOfMessages: 11})
	wantCode(t, err, "InvalidParameterValue")
	_, err = w.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: aws.String(url), MessageBody: aws.String(strings.Repeat("x", 1<<20+1))})
	wantCode(t, err, "InvalidParameterValue")
	_, err = w.sqs.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("a b")})
	wantCode(t, err, "InvalidParameterValue")
}
