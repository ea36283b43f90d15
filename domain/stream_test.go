package domain_test

import (
	"testing"

	"github.com/pas-ta/liveness/domain"
)

// Ids that are derived must never come out differently: they stand in logs.
func TestDerivedIDsStay(t *testing.T) {
	t.Parallel()
	subscription := domain.SubscriptionIDForLicence("arn:aws:license-manager:us-east-1:1:license:l-abc")
	for got, want := range map[string]string{
		subscription.String(): "6aa445fb-1be2-5c25-8399-996399d41f1f",
		domain.CustomerIDForSubscription(subscription).String():       "41e116b0-4bf3-539c-a5f5-47234689d1d8",
		domain.CheckIDForIdempotencyKey(subscription, "key").String(): "60e3a0ce-048d-5695-a8f3-b7069e02586f",
		domain.DerivedID(subscription, "name").String():               "f46c07bc-deea-5ad9-8a62-edd50842d711",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestOnlyLoginsForget(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]bool{domain.LoginsStream(id(2)): true, domain.AccountStream(id(2)): false, "logins-42": false} {
		if got := domain.MaxAge(stream) == domain.LoginsMaxAge; got != want || !want && domain.MaxAge(stream) != 0 {
			t.Errorf("%s: %s", stream, domain.MaxAge(stream))
		}
	}
}
