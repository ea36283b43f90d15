package v1_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/commands/commandstest"
)

// Keys that are nobody's and callers that are too fast are written down, with what may be seen of the key and the network.
func TestAttacksOnTheAPIAreWrittenDown(t *testing.T) {
	t.Parallel()
	var written commandstest.Lines
	security, err := securitylog.New(slog.New(slog.NewTextHandler(&written, nil)), secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(c *v1.Config) { c.Security, c.Limits = security, v1.Limits{KeyRate: 1, KeyBurst: 1} })
	ask := func(address string, keys ...string) {
		t.Helper()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, v1.PathUsage, nil)
		request.RemoteAddr = address + ":4711"
		for _, key := range keys {
			request.Header.Add("X-API-Key", key)
		}
		f.handler.ServeHTTP(httptest.NewRecorder(), request)
	}
	unknown := "lc_ABCDEFGHIJKLMNOPQRSTUVWXYZabc"
	ask("203.0.113.1", unknown)
	ask("203.0.114.1", "my password")
	ask("203.0.115.1")
	ask("203.0.116.1", f.key)
	if strings.Contains(written.String(), "203.0.116") {
		t.Error("a good call is written down")
	}
	ask("203.0.117.1", f.key)
	lines := written.String()
	for _, want := range []string{
		"event=key_refused network=203.0.113.0/24", "key=lc_ABCDE ", "network=203.0.114.0/24", "key=malformed", "network=203.0.115.0/24", "key=none",
		"event=limit_hit network=203.0.117.0/24", "limit=rate_limited", "customer=" + f.customer.String(),
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q is missing in\n%s", want, lines)
		}
	}
	for _, secret := range []string{unknown, "my password", f.key, "203.0.113.1 "} {
		if strings.Contains(lines, secret) {
			t.Errorf("%q stands in\n%s", secret, lines)
		}
	}
}
