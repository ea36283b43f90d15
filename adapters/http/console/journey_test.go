package console_test

import (
	"testing"
)

func TestJourneyFromMarketplaceToDashboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	token, identity := w.market.sell("business", 1)
	b.post("/marketplace/register", "x-amzn-marketplace-token", token).is(200).at("/console/onboarding").
		says("123456789012", identity.DisplayID(), "Business, 30,000 calls a month")
	b.post("/console/onboarding", person()...).is(200).at("/console/check-mail").says(mailAddress, "24 hours")
	keys := b.activate()
	b.logIn()

	var listed struct {
		Keys []struct{ Slot, Prefix string }
	}
	b.read("keys", &listed)
	for _, key := range listed.Keys {
		if key.Prefix != keys[key.Slot][:8] {
			t.Errorf("the %s key is listed as %s, was shown as %s…", key.Slot, key.Prefix, keys[key.Slot][:8])
		}
	}
	var overview struct {
		Plan  struct{ Name, Overage string }
		Month struct{ Calls, Limit, Remaining int64 }
	}
	b.read("overview", &overview)
	if overview.Plan.Name != "Business" || overview.Plan.Overage != "continue" || overview.Month.Limit != 30_000 || overview.Month.Remaining != 30_000 {
		t.Errorf("overview: %+v", overview)
	}
}
