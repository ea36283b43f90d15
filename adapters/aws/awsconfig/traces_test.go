package awsconfig_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/commands/tracing/tracingtest"
)

// A call is a span of what it is made for, whatever becomes of it, and says nothing of what is sent and answered.
func TestCallsAreShown(t *testing.T) { //nolint:paralleltest // what is recorded is the whole process's
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		fails  string
	}{
		"answered": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"CustomerIdentifier":"the-customer","ProductCode":"the-product"}`)
		}, ""},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"InvalidTokenException","message":"the-token of the-customer is not valid"}`)
		}, "InvalidTokenException"},
		"broken off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "AWS did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			service := httptest.NewServer(tt.answer)
			defer service.Close()
			cfg, err := awsconfig.Load(t.Context(), awsconfig.Settings{Region: "eu-west-1", Endpoint: service.URL, AccessKeyID: "the-key", SecretAccessKey: "the-secret"})
			if err != nil {
				t.Fatal(err)
			}
			client := marketplacemetering.NewFromConfig(cfg, func(o *marketplacemetering.Options) { o.RetryMaxAttempts = 1 })
			ask := &marketplacemetering.ResolveCustomerInput{RegistrationToken: aws.String("the-token")}
			spans := tracingtest.Record()
			_, _ = client.ResolveCustomer(t.Context(), ask) // by itself
			ctx, request := tracing.StartOwn(t.Context(), "request")
			if _, err := client.ResolveCustomer(ctx, ask); (err == nil) != (tt.fails == "") {
				t.Error(err)
			}
			request.End(nil)
			call := spans.One(t, "aws Marketplace Metering ResolveCustomer", tt.fails)
			if above := spans.One(t, "request", "").SpanContext.SpanID(); call.Parent.SpanID() != above {
				t.Errorf("the call is below %v, want the request %v", call.Parent.SpanID(), above)
			}
			said := map[string]string{}
			for _, attribute := range call.Attributes {
				said[string(attribute.Key)] = attribute.Value.AsString()
			}
			if said["rpc.service"] != "Marketplace Metering" || said["rpc.method"] != "ResolveCustomer" || said["cloud.region"] != "eu-west-1" {
				t.Errorf("the call says %v", said)
			}
			spans.WantNone(t, "the-customer", "the-product", "the-token", "the-key", "the-secret", service.URL)
		})
	}
}
