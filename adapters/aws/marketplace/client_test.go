package marketplace_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

const productCode = "n0123example"

// world is a client of ours with the simulator behind it.
type world struct {
	sim    *awssim.Sim
	client *marketplace.Client
	now    time.Time
}

func newWorld(t *testing.T, change ...func(*awssim.Config, *marketplace.Settings)) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 10, 13, 20, 0, 0, time.UTC)}
	cfg := awssim.Config{
		ProductCode:       productCode,
		Plans:             []awssim.Plan{{Dimension: "starter", Name: "Starter", MonthlyCalls: 1000, PriceUSD: 180}, {Dimension: "enterprise", Name: "Enterprise", MonthlyCalls: 100000, PriceUSD: 5000, Custom: true}},
		MeteredDimensions: []string{"starter_over"}, Seed: 5,
		Now: func() time.Time { return w.now },
	}
	settings := marketplace.Settings{ProductCode: productCode}
	for _, c := range change {
		c(&cfg, &settings)
	}
	sim, url := awssimtest.Serve(t, cfg)
	w.sim, settings.MeteringEndpoint, settings.EntitlementEndpoint = sim, url, url
	w.client = newClient(t, settings)
	return w
}

func newClient(t *testing.T, s marketplace.Settings) *marketplace.Client {
	t.Helper()
	client, err := marketplace.New(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 10 * time.Millisecond })
		},
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (w *world) subscribe(t *testing.T, r awssim.SubscribeRequest) (awssim.Agreement, domain.MarketplaceIdentity) {
	t.Helper()
	a, err := w.sim.Subscribe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a, domain.MarketplaceIdentity{AWSAccountID: a.AccountID, LicenseARN: a.LicenseARN, ProductCode: productCode}
}

func (w *world) fault(t *testing.T, f awssim.Fault) {
	t.Helper()
	if _, err := w.sim.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

func TestResolveBuyer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	token, err := w.sim.Token(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.client.ResolveBuyer(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(identity, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"forged", token[:20], "<script>", strings.Repeat("x", 8<<10), "日本"} {
		if _, err := w.client.ResolveBuyer(t.Context(), bad); !errors.Is(err, subscriptions.ErrTokenInvalid) {
			t.Errorf("token %.20q: %v", bad, err)
		}
	}
	w.now = w.now.Add(5 * time.Hour)
	if _, err := w.client.ResolveBuyer(t.Context(), token); !errors.Is(err, subscriptions.ErrTokenExpired) {
		t.Errorf("old token: %v", err)
	}
}

func TestFailuresAreClassified(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault awssim.Fault
		want  marketplace.FailureKind
	}{
		"throttled":       {awssim.Fault{Kind: awssim.FaultThrottle}, marketplace.Throttled},
		"server error":    {awssim.Fault{Kind: awssim.FaultServerError}, marketplace.Unavailable},
		"unavailable":     {awssim.Fault{Kind: awssim.FaultUnavailable}, marketplace.Unavailable},
		"dropped":         {awssim.Fault{Kind: awssim.FaultDrop}, marketplace.Unavailable},
		"no answer":       {awssim.Fault{Kind: awssim.FaultHang}, marketplace.Unavailable},
		"API disabled":    {awssim.Fault{Kind: awssim.FaultException, Code: "DisabledApiException"}, marketplace.Misconfigured},
		"access denied":   {awssim.Fault{Kind: awssim.FaultException, Code: "AccessDeniedException"}, marketplace.Misconfigured},
		"unknown refusal": {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidParameterException"}, marketplace.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(_ *awssim.Config, s *marketplace.Settings) { s.Timeout = time.Second })
			_, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
			w.fault(t, tt.fault)
			_, resolveErr := w.client.ResolveBuyer(t.Context(), "token")
			_, entitlementErr := w.client.Entitlements(t.Context(), identity)
			for operation, err := range map[string]error{"ResolveBuyer": resolveErr, "Entitlements": entitlementErr} {
				var f *marketplace.Failure
				if !errors.As(err, &f) || f.Kind != tt.want {
					t.Errorf("%s: %v, want %s", operation, err, tt.want)
				}
			}
		})
	}
}

// The SDK itself outlasts a short disturbance.
func TestShortDisturbanceIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	w.fault(t, awssim.Fault{Kind: awssim.FaultServerError, Times: 1})
	w.fault(t, awssim.Fault{Kind: awssim.FaultDrop, Times: 1})
	if _, err := w.client.Entitlements(t.Context(), identity); err != nil {
		t.Error(err)
	}
}

func TestEntitlements(t *testing.T) {
	t.Parallel()
	for name, asJSON := range map[string]bool{"CBOR": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(_ *awssim.Config, s *marketplace.Settings) { s.EntitlementJSON = asJSON })
			if err := w.sim.SetSwitches(awssim.Switches{EmptyEntitlementPage: true, EventDelivery: awssim.DeliverOnce}); err != nil {
				t.Fatal(err)
			}
			a, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "enterprise", Quantity: 300_000})
			for range 30 {
				w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
			}
			got, err := w.client.Entitlements(t.Context(), identity)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]domain.ContractEntitlement{{Dimension: "enterprise", Quantity: 300_000, ExpiresAt: a.EndsAt}}, got); diff != "" {
				t.Error(diff)
			}
			all, err := w.client.AllEntitlements(t.Context())
			if err != nil || len(all) != 31 || all[0].Identity != identity {
				t.Errorf("%d entitlements, %v", len(all), err)
			}
			if _, err := w.sim.Cancel(t.Context(), a.ID); err != nil {
				t.Fatal(err)
			}
			if got, err := w.client.Entitlements(t.Context(), identity); err != nil || len(got) != 0 {
				t.Errorf("after the end: %+v, %v", got, err)
			}
		})
	}
}

func TestLegacyIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *awssim.Config, _ *marketplace.Settings) { c.Legacy = true })
	a, _ := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	identity := domain.MarketplaceIdentity{CustomerIdentifier: a.CustomerIdentifier, ProductCode: productCode}
	if got, err := w.client.Entitlements(t.Context(), identity); err != nil || len(got) != 1 {
		t.Errorf("entitlements %+v, %v", got, err)
	}
	results, err := w.client.MeterUsage(t.Context(), []marketplace.UsageRecord{{Identity: identity, Dimension: "starter_over", Quantity: 1, Timestamp: w.now}})
	if err != nil || results[0].Outcome != domain.MeteringSuccess {
		t.Errorf("results %+v, %v", results, err)
	}
	if _, err := w.client.Entitlements(t.Context(), domain.MarketplaceIdentity{}); err == nil {
		t.Error("an identity without anything was accepted")
	}
}

// answering is a client whose AWS gives one fixed answer.
func answering(t *testing.T, status int, body string) *marketplace.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return newClient(t, marketplace.Settings{ProductCode: productCode, MeteringEndpoint: server.URL, EntitlementEndpoint: server.URL})
}
