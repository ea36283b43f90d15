package mail_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/mail"
)

// Which implementation of SES is used is a matter of configuration: LIVENESS_TEST_AWS_ENDPOINT names another one than the
// simulator.
func TestAnyImplementationOfSES(t *testing.T) {
	t.Parallel()
	const sender = "no-reply@example.com"
	endpoint := os.Getenv("LIVENESS_TEST_AWS_ENDPOINT")
	another := endpoint != ""
	if !another {
		endpoint = startSES(t).url
	}
	cfg, err := awsconfig.Load(t.Context(), awsconfig.Settings{Region: "us-east-1", Endpoint: endpoint, AccessKeyID: "AKID", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	mailer, err := mail.NewSES(cfg, mail.SESSettings{Sender: mail.Sender{From: "Prüfung <" + sender + ">"}})
	if err != nil {
		t.Fatal(err)
	}
	if another { // a sender must be verified there first
		if _, err := sesv2.NewFromConfig(cfg).CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(sender)}); err != nil {
			t.Log(err)
		}
	}
	if err := mailer.Send(t.Context(), letter("ada@müller.example")); err != nil {
		t.Error(err)
	}
}
