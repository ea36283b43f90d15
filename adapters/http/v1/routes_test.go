package v1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/http/server"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/v1", 404, "not_found", ""},
		{"GET", "/v1/nothing", 404, "not_found", ""},
		{"POST", "/v1/check/liveness/", 404, "not_found", ""},
		{"POST", "/v1//check/liveness", 404, "not_found", ""},
		{"GET", "/v1/../v1/usage", 404, "not_found", ""},
		{"GET", "/v1/check/liveness", 405, "method_not_allowed", "OPTIONS, POST"},
		{"HEAD", "/v1/check/liveness", 405, "method_not_allowed", "OPTIONS, POST"},
		{"BREW", "/v1/check/liveness", 405, "method_not_allowed", "OPTIONS, POST"},
		{"POST", "/v1/usage", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
		{"DELETE", "/v1/health", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/v1/usage", 204, "", "GET, HEAD, OPTIONS"},
		{"HEAD", "/v1/usage", 200, "", ""},
		{"HEAD", "/v1/health", 200, "", ""},
		{"GET", "/v1/ready", 200, "", ""},
		{"HEAD", "/v1/ready", 200, "", ""},
		{"POST", "/v1/ready", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			r := httptest.NewRequest(test.method, test.path, nil)
			r.Header.Set("X-API-Key", f.key)
			got := f.do(r)
			f.want(got, test.status, test.code)
			if allow := got.Header.Get("Allow"); allow != test.allow {
				t.Errorf("Allow %q, want %q", allow, test.allow)
			}
			if test.code != "" && (got.Metadata.Status != "error" || got.Metadata.Ver != "1.0.1" || got.Metadata.CustomerID != nil || got.Metadata.RemainingCalls != nil) {
				t.Errorf("%s, want the envelope of an unknown caller", got.Raw)
			}
		})
	}
}

// A server on its way down says that it is not ready, and is as healthy as before.
func TestReadiness(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		_ = server.New(f.api, server.Limits{Drain: time.Hour}, slog.New(slog.DiscardHandler)).Serve(ctx, listener)
	}()
	ask := func(path string) (status int, body string) {
		response, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if status, body := ask(v1.PathReady); status != 200 || body != `{"status":"ready"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	stop()
	for began := time.Now(); ; {
		status, body := ask(v1.PathReady)
		if status == 503 && strings.Contains(body, `"code":"draining"`) {
			break
		}
		if status != 200 || time.Since(began) > time.Minute {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, body := ask(v1.PathHealth); status != 200 || !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var asked, down atomic.Int64
	f := newFixture(t, func(c *v1.Config) {
		c.Components = []v1.Component{
			{Name: "event_store", Probe: func(context.Context) error {
				asked.Add(1)
				if down.Load() > 0 {
					return errors.New("connection refused by 10.0.0.7")
				}
				return nil
			}},
		}
	})
	health := func() reply { return f.do(httptest.NewRequest(http.MethodGet, v1.PathHealth, nil)) }
	want := `{"status":"ok","version":"1.0.1","date":"2026-11-22T12:34:56.789Z",` +
		`"components":{"event_store":{"status":"up"},"inference":{"status":"up"}}}` + "\n"
	for range 3 {
		if got := health(); got.Status != 200 || got.Raw != want {
			t.Errorf("%d %s\nwant 200 %s", got.Status, got.Raw, want)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the component was asked %d times within a moment, want once", asked.Load())
	}
	down.Store(1)
	f.clock.Advance(2 * time.Second)
	got := health()
	if got.Status != 200 || !strings.Contains(got.Raw, `"status":"degraded"`) || !strings.Contains(got.Raw, `"event_store":{"status":"down"}`) {
		t.Errorf("%d %s, want degraded", got.Status, got.Raw)
	}
	if strings.Contains(got.Raw, "10.0.0.7") || !strings.Contains(f.logged.String(), "10.0.0.7") {
		t.Errorf("%s; why a component is down belongs into the log", got.Raw)
	}
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) {
		c.Limits = v1.Limits{KeyRate: 2, KeyBurst: 2, AddressRate: 1, AddressBurst: 5}
	})
	from := func(address string, key string) reply {
		r := httptest.NewRequest(http.MethodGet, v1.PathUsage, nil)
		r.RemoteAddr = address
		r.Header.Set("X-API-Key", key)
		return f.do(r)
	}
	for i := range 2 {
		f.want(from(fmt.Sprintf("192.0.2.%d:1", i), f.key), 200, "")
	}
	limited := from("192.0.2.9:1", f.key)
	f.want(limited, 429, "rate_limited")
	if limited.Header.Get("Retry-After") != "1" || limited.Metadata.CustomerID == nil {
		t.Errorf("Retry-After %q, want 1: %s", limited.Header.Get("Retry-After"), limited.Raw)
	}
	f.clock.Advance(time.Second)
	f.want(from("192.0.2.9:1", f.key), 200, "")

	for port := range 5 {
		f.want(from(fmt.Sprintf("[2001:db8::%x]:%d", port, port), "lc_guess"), 401, "invalid_api_key")
	}
	guessing := from("[2001:db8::ffff]:1", f.key) // the same network, even with a good key
	f.want(guessing, 429, "rate_limited")
	if guessing.Metadata.CustomerID != nil {
		t.Errorf("%s: the key was looked up", guessing.Raw)
	}
	f.want(from("[2001:db8:0:1::1]:1", f.key), 200, "")
}

// A browser that is led to a refusal must make nothing of it.
func TestRefusalsAreNoPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, refusal := range []reply{f.get("/v1/anything"), f.get("/elsewhere"), f.get("/v1/check/liveness")} {
		if policy := refusal.Header.Get("Content-Security-Policy"); refusal.Status < 400 || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%d: Content-Security-Policy is %q", refusal.Status, policy)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.want(f.check("1"), 200, "")
	f.want(f.get("/v1/anything"), 404, "not_found")
	f.want(f.get("/v1/anything/else"), 404, "not_found")
	want := map[string]float64{
		"liveness_api_requests_total{code=,method=POST,route=/v1/check/liveness,status=200}": 1,
		"liveness_api_requests_total{code=not_found,method=GET,route=other,status=404}":      2,
		"liveness_api_requests_in_flight{}":                                                  0,
		"liveness_api_checks_admitted{}":                                                     0,
		"liveness_api_checks_waiting{}":                                                      0,
		"liveness_api_checks_judging{}":                                                      0,
		"liveness_api_image_memory_bytes{}":                                                  0,
		"liveness_api_queue_gave_way_total{}":                                                0,
	}
	for limit, value := range map[string]float64{
		"address_burst": 400, "address_rate": 200, "begin_wait_seconds": 9, "image_bytes": 10 << 20, "image_memory_bytes": 256 << 20,
		"key_burst": 200, "key_rate": 100, "queue_places": queuePlaces, "uploads": 512, "weight_business": 5, "weight_enterprise": 8,
		"weight_professional": 3, "weight_standard": 2, "weight_starter": 1,
	} {
		want["liveness_api_limit{limit="+limit+"}"] = value
	}
	for share, capacity := range map[string]float64{"checks": queuePlaces + 512, "image_memory": 256 << 20} {
		want["liveness_share_capacity{of="+share+"}"] = capacity
		for _, zero := range []string{"gave_way_total", "holders", "largest_ratio", "refused_total", "taken"} {
			want["liveness_share_"+zero+"{of="+share+"}"] = 0
		}
	}
	got := f.gathered()
	maps.DeleteFunc(got, func(name string, n float64) bool {
		return n == 0 && strings.HasPrefix(name, "liveness_api_requests_total")
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// The first check that is answered in a way is an increase to Prometheus.
func TestAnswersOfChecksBeginAtZero(t *testing.T) {
	t.Parallel()
	values := newFixture(t).gathered()
	for _, answer := range []string{"code=,method=POST,route=/v1/check/liveness,status=200", "code=internal_error,method=POST,route=/v1/check/liveness,status=500",
		"code=service_unavailable,method=POST,route=/v1/check/liveness,status=503", "code=overloaded,method=POST,route=/v1/check/liveness,status=503",
		"code=internal_error,method=GET,route=/v1/usage,status=500", "code=service_unavailable,method=GET,route=/v1/health,status=503",
		"code=quota_exceeded,method=POST,route=/v1/check/liveness,status=429", "code=request_timeout,method=POST,route=/v1/check/liveness,status=408"} {
		if n, there := values["liveness_api_requests_total{"+answer+"}"]; !there || n != 0 {
			t.Errorf("%s is there: %v, and begins at %v", answer, there, n)
		}
	}
}

// gathered returns the counters and gauges by name and labels.
func (f *fixture) gathered() map[string]float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			labels := make([]string, len(metric.Label))
			for i, label := range metric.Label {
				labels[i] = label.GetName() + "=" + label.GetValue()
			}
			name := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case metric.Counter != nil:
				values[name] = metric.Counter.GetValue()
			case metric.Gauge != nil:
				values[name] = metric.Gauge.GetValue()
			}
		}
	}
	return values
}

func TestIncompleteConfig(t *testing.T) {
	t.Parallel()
	if _, err := v1.New(v1.Config{}); err == nil {
		t.Error("an API without anything is built")
	}
}

// Health names the version of what it probed, leaves out what nothing is known of, and says the same to Prometheus.
func TestHealthOfComponents(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	works := func(context.Context) error { return nil }
	f := newFixture(t, func(c *v1.Config) {
		c.Components = []v1.Component{
			{Name: "event_store", Probe: works, Version: func(context.Context) (string, error) { return "24.10.4", nil }},
			{Name: "account_mails", Probe: func(context.Context) error {
				if broken.Load() {
					return errors.New("the right is missing")
				}
				return nil
			}},
			{Name: "others", Probe: func(context.Context) error { return v1.ErrUnknownState }},
		}
	})
	if err := f.registry.Register(f.api.ComponentMetrics()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"status":"ok"`, `"status":"degraded"`, `"status":"degraded"`, `"status":"ok"`,
	} {
		mails := "up"
		if broken.Store(strings.Contains(want, "degraded")); broken.Load() {
			mails = "down"
		}
		f.clock.Advance(2 * time.Second)
		body := f.do(httptest.NewRequest(http.MethodGet, v1.PathHealth, nil)).Raw
		components := `"event_store":{"status":"up","version":"24.10.4"}`
		if !strings.Contains(body, want) || !strings.Contains(body, components) || !strings.Contains(body, `"account_mails":{"status":"`+mails+`"}`) || strings.Contains(body, "others") {
			t.Errorf("got %s", body)
		}
		metric := f.gathered()["liveness_component_up{component=account_mails}"]
		if metric != map[string]float64{"up": 1, "down": 0}[mails] {
			t.Errorf("health says %s and the metric %v", mails, metric)
		}
	}
	logged := f.logged.String()
	if downs := strings.Count(logged, "component is down"); downs != 1 || strings.Count(logged, "works again") != 1 {
		t.Errorf("told %d times that it is down:\n%s", downs, logged)
	}
}
