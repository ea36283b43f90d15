package awssim_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"

	"github.com/pas-ta/liveness/adapters/awssim"
)

func TestResolveCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", AccountID: "123456789012"})
	token, err := w.sim.Token(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(token string) (*marketplacemetering.ResolveCustomerOutput, error) {
		return w.metering.ResolveCustomer(t.Context(), &marketplacemetering.ResolveCustomerInput{RegistrationToken: aws.String(token)})
	}
	for range 2 { // a token is not used up
		out, err := resolve(token)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.CustomerAWSAccountId) != "123456789012" || aws.ToString(out.LicenseArn) != a.LicenseARN || aws.ToString(out.ProductCode) != productCode || out.CustomerIdentifier != nil {
			t.Errorf("resolved %+v", out)
		}
	}
	_, err = resolve("forged")
	wantCode(t, err, "InvalidTokenException")

	w.clock.Advance(4 * time.Hour)
	_, err = resolve(token)
	wantCode(t, err, "ExpiredTokenException")
	fresh, err := w.sim.Token(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resolve(fresh); err != nil {
		t.Errorf("a fresh token of the same agreement: %v", err)
	}
}

func TestLegacyListingResolvesToIdentifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *awssim.Config) { c.Legacy = true })
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	token, err := w.sim.Token(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.metering.ResolveCustomer(t.Context(), &marketplacemetering.ResolveCustomerInput{RegistrationToken: aws.String(token)})
	if err != nil || aws.ToString(out.CustomerIdentifier) != a.CustomerIdentifier {
		t.Errorf("resolved %+v, %v", out, err)
	}
}

func TestSubscribeRefusesWhatAWSCannotHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, r := range map[string]awssim.SubscribeRequest{
		"unknown plan":      {Plan: "gold"},
		"short account":     {Plan: "starter", AccountID: "123"},
		"small enterprise":  {Plan: "enterprise", Quantity: 99_999},
		"endless term":      {Plan: "starter", TermMonths: 61},
		"negative quantity": {Plan: "enterprise", Quantity: -1},
	} {
		if _, err := w.sim.Subscribe(t.Context(), r); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestRequestsMustBeSignedForTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for authorization, want := range map[string]string{
		"":           "MissingAuthenticationTokenException",
		"Bearer abc": "MissingAuthenticationTokenException",
		"AWS4-HMAC-SHA256 Credential=A/20261110/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0": "InvalidSignatureException",
		"AWS4-HMAC-SHA256 Signature=0": "InvalidSignatureException",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(`{"RegistrationToken":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Target", "AWSMPMeteringService.ResolveCustomer")
		request.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if closeErr := response.Body.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		if response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), want) {
			t.Errorf("%q: %d %s, want %s", authorization, response.StatusCode, body, want)
		}
	}
}

// State outlives a restart of the simulator.
func TestStateIsKept(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Dir = t.TempDir()
	first, err := awssim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a, err := first.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "standard"})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Seed++ // or it would make the same identifiers again
	second, err := awssim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := second.Token(t.Context(), a.ID); err != nil {
		t.Errorf("agreement after restart: %v", err)
	}
	if _, err := second.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "standard"}); err != nil {
		t.Errorf("subscription after restart: %v", err)
	}
}
