package marketplace_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/domain"
)

// Credentials come over HTTP themselves, and whoever gives them has errors of its own: none of them is AWS's answer to a report.
func TestReportsWithoutCredentialsAreNotSent(t *testing.T) { //nolint:paralleltest // the SDK reads the environment
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the agent is ill", http.StatusInternalServerError)
	}))
	defer agent.Close()
	overHTTP := aws.Config{Region: "us-east-1", Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, agent.URL, http.NoBody)
		if err != nil {
			return aws.Credentials{}, err
		}
		answer, err := agent.Client().Do(request)
		if err != nil {
			return aws.Credentials{}, err
		}
		return aws.Credentials{}, fmt.Errorf("the agent answered %s", answer.Status)
	})}
	configs := map[string]aws.Config{"an agent that is ill": overHTTP}
	for _, code := range []string{"IDPCommunicationError", "InvalidIdentityToken", "AccessDenied", "Throttling", "ValidationException"} {
		configs["a token service that says "+code] = webIdentity(t, code)
	}
	identity := domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:us-east-1:294406891311:license:l-1"}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			metering := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a call was made") }))
			defer metering.Close()
			client, err := marketplace.New(cfg, marketplace.Settings{ProductCode: productCode, MeteringEndpoint: metering.URL})
			if err != nil {
				t.Fatal(err)
			}
			results, err := client.MeterUsage(t.Context(), []marketplace.UsageRecord{record(identity, time.Unix(1788260400, 0), 1)})
			if err == nil || len(results) != 1 || results[0].Outcome != domain.MeteringNotSent {
				t.Errorf("results %+v, %v, want %s", results, err, domain.MeteringNotSent)
			}
		})
	}
}

// webIdentity is the configuration of a pod whose role's token service refuses it by a name.
func webIdentity(t *testing.T, code string) aws.Config {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
	}))
	t.Cleanup(service.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": token + ".none", "AWS_SHARED_CREDENTIALS_FILE": token + ".none",
		"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/liveness", "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ENDPOINT_URL_STS": service.URL,
		"AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	cfg, err := awsconfig.Load(t.Context(), awsconfig.Settings{Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
