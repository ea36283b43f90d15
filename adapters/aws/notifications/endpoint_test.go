package notifications_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
)

// Which implementation of SQS is used is a matter of configuration: LIVENESS_TEST_AWS_ENDPOINT names another one than the
// simulator.
func TestAnyImplementationOfSQS(t *testing.T) {
	t.Parallel()
	endpoint := os.Getenv("LIVENESS_TEST_AWS_ENDPOINT")
	if endpoint == "" {
		endpoint = aws.ToString(newQueue(t).cfg.BaseEndpoint)
	}
	cfg, err := awsconfig.Load(t.Context(), awsconfig.Settings{Region: "us-east-1", Endpoint: endpoint, AccessKeyID: "AKID", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(cfg)
	create := func(name string) *string {
		t.Helper()
		out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name)})
		if err != nil {
			t.Fatal(err)
		}
		return out.QueueUrl
	}
	name := "events-" + uuid.NewString()
	queue, dead := create(name), create(name+"-dead")
	for _, body := range []string{"good", "poison", "shy"} {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String(body)}); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := notifications.NewConsumer(cfg, notifications.Settings{
		QueueName: name, DeadLetterName: name + "-dead", Visibility: 10 * time.Second, Wait: time.Second, RetryDelay: time.Millisecond,
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	handled := make(chan string, 9)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- consumer.Run(ctx, func(_ context.Context, m notifications.Message) error {
			switch {
			case m.Body == "poison":
				return notifications.ErrDeadLetter
			case m.Body == "shy" && m.Receives == 1:
				return errors.New("not the first time")
			}
			handled <- m.Body
			return nil
		})
	}()
	got := map[string]bool{next(t, handled): true, next(t, handled): true}
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: dead, WaitTimeSeconds: 10})
	if err != nil || len(out.Messages) != 1 || aws.ToString(out.Messages[0].Body) != "poison" {
		t.Errorf("dead letters %+v, %v", out, err)
	}
	cancel()
	if err := <-done; err != nil || !got["good"] || !got["shy"] {
		t.Errorf("handled %v, %v", got, err)
	}
}
