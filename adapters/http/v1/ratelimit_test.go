package v1_test

import (
	"net/http"
	"testing"

	"github.com/dunglas/httpsfv"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
)

// The limits are told as structured fields (RFC 9651), as the draft of RateLimit has them, and no refusal for want of room or time
// leaves open when to come again.
func TestRateLimitIsAStructuredField(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) { c.Limits = v1.Limits{KeyRate: 2, KeyBurst: 3, AddressRate: 100, AddressBurst: 100} })
	for left := int64(2); left >= -1; left-- {
		answer := f.get(v1.PathUsage)
		limit, err := httpsfv.UnmarshalList(answer.Header.Values("RateLimit"))
		policy, policyErr := httpsfv.UnmarshalList(answer.Header.Values("RateLimit-Policy"))
		if err != nil || policyErr != nil || len(limit) != 1 || len(policy) != 1 {
			t.Fatalf("RateLimit %q, RateLimit-Policy %q: %v, %v", answer.Header.Values("RateLimit"), answer.Header.Values("RateLimit-Policy"), err, policyErr)
		}
		now, of := limit[0].(httpsfv.Item), policy[0].(httpsfv.Item)
		param := func(item httpsfv.Item, name string) any { value, _ := item.Params.Get(name); return value }
		if now.Value != "key" || of.Value != "key" || param(of, "q") != int64(3) || param(of, "w") != int64(2) || param(now, "r") != max(0, left) || param(now, "t") == int64(0) {
			t.Errorf("with %d left: RateLimit %q, RateLimit-Policy %q", left, answer.Header.Get("RateLimit"), answer.Header.Get("RateLimit-Policy"))
		}
		if refused := answer.Status == http.StatusTooManyRequests; refused != (left < 0) || refused != (answer.Header.Get("Retry-After") != "") {
			t.Errorf("with %d left it answers %d, to come again after %q", left, answer.Status, answer.Header.Get("Retry-After"))
		}
	}
}
