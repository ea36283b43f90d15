package main

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
)

// The customer's whole journey over the product as dev runs it, in a real browser: AWS Marketplace, onboarding, mailbox,
// password, keys, login, dashboard, a check that changes the overview, Regenerate, the over-limit switch.
func TestBuyerWalksFromMarketplaceToDashboard(t *testing.T) {
	t.Parallel()
	config := browsertest.Installed(t)
	dev := startDev(t, filepath.Join(t.TempDir(), "data"))
	browser := browsertest.Open(t, config, dev.api, dev.aws)
	browsertest.Walk(browser, browsertest.Site{
		URL:        dev.api,
		Subscribe:  browsertest.SubscribeAt(dev.aws, "standard"),
		MailedLink: browsertest.MailedLinkAt(browser, dev.aws),
		Check: func(key string) int {
			answer := dev.check(t, key, samplePhoto(t, 1))
			if answer.Status == http.StatusOK && answer.Data.FakeFace {
				t.Errorf("sample 1 was called a fake: %+v", answer)
			}
			return answer.Status
		},
	})
	// A photo that is tried on the console is judged by the real models, and not counted.
	counted := dev.call(t, http.MethodGet, "/v1/usage", dev.demo.Primary, nil).Data.Calls
	browser.Open(dev.api + "/console/try")
	browser.Await("the screen is there", "document.querySelector('#photo')")
	browser.Choose("#photo", samplePhoto(t, 1))
	browser.Await("the photo is judged live", "document.querySelector('#tried-likelihood')?.innerText.startsWith('0.00')")
	browser.Screen("63-tried-for-real")
	if now := dev.call(t, http.MethodGet, "/v1/usage", dev.demo.Primary, nil).Data.Calls; now != counted {
		t.Errorf("%d calls are counted of a photo that was tried", now-counted)
	}
}

// One person with two subscriptions, and a colleague, over the product as dev runs it.
func TestPeopleShareCustomers(t *testing.T) {
	t.Parallel()
	config := browsertest.Installed(t)
	dev := startDev(t, filepath.Join(t.TempDir(), "data"))
	browser := browsertest.Open(t, browsertest.Config{Chromium: config.Chromium}, dev.api, dev.aws)
	browsertest.WalkPeople(browser, browsertest.Site{
		URL:        dev.api,
		Subscribe:  browsertest.SubscribeAt(dev.aws, "standard"),
		MailedLink: browsertest.MailedLinkAt(browser, dev.aws),
		Check:      func(key string) int { return dev.check(t, key, samplePhoto(t, 1)).Status },
	})
}
