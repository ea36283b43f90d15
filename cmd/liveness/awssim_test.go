package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// The simulator alone is all of AWS that separate processes need, under the settings that it prints.
func TestAwssimPrintsHowItIsUsed(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := newNotedOutput()
	command := &AwssimCmd{Addr: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "aws"), RegistrationURL: "http://127.0.0.1:9/marketplace/register"}
	ended := make(chan error, 1)
	go func() { ended <- command.Run(ctx, &App{Out: out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}) }()
	for !strings.Contains(out.String(), "everything is kept") {
		select {
		case <-out.news:
		case err := <-ended:
			t.Fatal(err)
		}
	}
	known := map[string]bool{"AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true} // the SDK's own
	parser, err := kong.New(&commandLine{}, kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range collectSettings(parser.Model.Node) {
		known[s.Name] = true
	}
	exported := map[string]string{}
	for _, setting := range regexp.MustCompile(`([A-Z_]+)=(\S+)`).FindAllStringSubmatch(out.String(), -1) {
		if exported[setting[1]] = setting[2]; !known[setting[1]] {
			t.Errorf("no command reads %s", setting[1])
		}
	}
	endpoint := exported["LIVENESS_AWS_ENDPOINT"]
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/marketplace/subscribe", strings.NewReader(url.Values{"plan": {"starter"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Request.URL.Path, "/marketplace/agreements/") {
		t.Errorf("subscribing led to %s: %d", response.Request.URL, response.StatusCode)
	}
	queue := sqs.New(sqs.Options{
		Region: exported["AWS_REGION"], BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: exported["AWS_ACCESS_KEY_ID"], SecretAccessKey: exported["AWS_SECRET_ACCESS_KEY"]}, nil
		}),
	})
	received, err := queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(exported["LIVENESS_MARKETPLACE_QUEUE"]), WaitTimeSeconds: 20})
	if err != nil || len(received.Messages) == 0 {
		t.Errorf("the queue of agreements: %v, %v", received, err)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not stop")
	}
	if err := (&AwssimCmd{Addr: "0.0.0.0:0"}).Run(t.Context(), &App{Out: io.Discard}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("others can reach it: %v", err)
	}
}
