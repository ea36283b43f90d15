package console_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

func TestJourneyFromMarketplaceToDashboard(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	token, identity := w.Market.Sell("business", 1)
	b.Post("/marketplace/register", "x-amzn-marketplace-token", token).Is(200).At("/console/onboarding").
		Says("123456789012", identity.DisplayID(), "Business, 30,000 calls a month")
	b.Post("/console/onboarding", consoletest.OnboardingForm()...).Is(200).At("/console/check-mail").Says(consoletest.MailAddress, "24 hours")
	keys := b.Activate()
	b.LogIn()

	var listed struct {
		Keys []struct{ Slot, Prefix string }
	}
	b.Read("keys", &listed)
	for _, key := range listed.Keys {
		if key.Prefix != keys[key.Slot][:8] {
			t.Errorf("the %s key is listed as %s, was shown as %s…", key.Slot, key.Prefix, keys[key.Slot][:8])
		}
	}
	var overview struct {
		Plan  struct{ Name, Overage string }
		Month struct{ Calls, Limit, Remaining int64 }
	}
	b.Read("overview", &overview)
	if overview.Plan.Name != "Business" || overview.Plan.Overage != "continue" || overview.Month.Limit != 30_000 || overview.Month.Remaining != 30_000 {
		t.Errorf("overview: %+v", overview)
	}
}
