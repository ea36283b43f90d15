package awssim_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
)

const productCode = "n0123example"

// fakeClock is a clock that only moves when told.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock(text string) *fakeClock {
	now, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &fakeClock{now: now}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a simulator with the SDK's clients pointed at it.
type world struct {
	sim         *awssim.Sim
	url         string
	clock       *fakeClock
	metering    *marketplacemetering.Client
	entitlement *marketplaceentitlementservice.Client
	ses         *sesv2.Client
	sqs         *awssqs.Client
}

func testConfig() awssim.Config {
	return awssim.Config{
		ProductCode: productCode,
		Plans: []awssim.Plan{
			{Dimension: "starter", Name: "Starter", MonthlyCalls: 1000, PriceUSD: 180},
			{Dimension: "standard", Name: "Standard", MonthlyCalls: 5000, PriceUSD: 750},
			{Dimension: "enterprise", Name: "Enterprise", MonthlyCalls: 100000, PriceUSD: 5000, Custom: true},
		},
		MeteredDimensions: []string{"starter_over", "standard_over", "enterprise_over"},
		RegistrationURL:   "http://127.0.0.1:1/marketplace/register",
		Seed:              7,
	}
}

func newWorld(t *testing.T, change ...func(*awssim.Config)) *world {
	t.Helper()
	cfg := testConfig()
	clock := newClock("2026-11-10T13:20:00Z")
	cfg.Now = clock.Now
	for _, c := range change {
		c(&cfg)
	}
	return startWorld(t, cfg, clock)
}

func startWorld(t testing.TB, cfg awssim.Config, clock *fakeClock) *world {
	t.Helper()
	sim, url := awssimtest.Serve(t, cfg)
	w := &world{sim: sim, url: url, clock: clock}
	w.connect("us-east-1")
	return w
}

// connect points the SDK's clients at the simulator; answers other than success are not retried by the SDK.
func (w *world) connect(region string) {
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String(w.url), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	w.metering = marketplacemetering.NewFromConfig(cfg)
	w.entitlement = marketplaceentitlementservice.NewFromConfig(cfg)
	w.ses = sesv2.NewFromConfig(cfg)
	w.sqs = awssqs.NewFromConfig(cfg)
}

func (w *world) subscribe(t *testing.T, r awssim.SubscribeRequest) awssim.Agreement {
	t.Helper()
	a, err := w.sim.Subscribe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantCode checks that AWS refused with an exception of this name.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

// Another site's name that resolves to this machine gets nothing, whatever it asks for.
func TestOtherSitesNamesAreRefused(t *testing.T) {
	t.Parallel()
	sim := newWorld(t).sim
	for host, want := range map[string]bool{
		"127.0.0.1:8081": true, "localhost": true, "LOCALHOST:1": true, "sim.localhost:80": true, "[::1]:8081": true, "::1": true, "aws:8081": true, "10.0.0.7": true,
		"evil.example": false, "evil.example.:80": false, "127.0.0.1.evil.example:8081": false, "localhost.evil.example": false,
	} {
		for _, target := range []string{"", "AWSMPMeteringService.BatchMeterUsage"} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/marketplace", http.NoBody)
			request.Host = host
			if target != "" {
				request.Header.Set("X-Amz-Target", target)
			}
			answer := httptest.NewRecorder()
			sim.Handler().ServeHTTP(answer, request)
			if got := !strings.Contains(answer.Body.String(), "local names only"); got != want {
				t.Errorf("%s %q: %d %s", host, target, answer.Code, answer.Body)
			}
		}
	}
}
