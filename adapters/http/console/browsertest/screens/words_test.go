package screens_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// TestEndedSubscription: its keys do not work and nothing can be done with them; buying again is a link.
func TestEndedSubscription(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	w.End(w.Subscription())
	w.Settled()
	b.Open(w.URL + "/console/keys")
	b.Await("the keys are shown as ended", "[...document.querySelectorAll('.key .badge')].map((e) => e.innerText).join() === 'Ended,Ended'")
	if b.Holds("document.querySelector('#regenerate-primary, #regenerate-secondary') || document.querySelector('main').innerText.includes('Active')") {
		t.Errorf("the screen says:\n%s", b.Text("main"))
	}
	b.Await("buying again is a link", "[...document.querySelectorAll('main a')].some((e) => e.innerText === 'Subscribe again' && e.href === 'https://aws.amazon.com/marketplace/')")
	b.Screen("84-keys-of-an-ended-subscription")
}

// TestNumbersHaveSeparators on every screen.
func TestNumbersHaveSeparators(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	w.Used(1203)
	for _, screen := range consoletest.ScreenNames {
		b.Open(w.URL + "/console/" + screen)
		b.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
		if screen == "dashboard" || screen == "usage" {
			b.Await("the chart is there", "document.querySelector('.chart canvas')")
		}
		if bare := b.Value(`[...document.querySelectorAll("main :is(p, td, th, dd, span, strong, li)")].filter((e) => e.children.length === 0 && !e.closest(".mono, code, time"))
			.map((e) => e.textContent).filter((t) => /(?<![\d.,-])\d{4,}(?!-\d)/.test(t.replace(/\b20\d\d\b/g, ""))).join("; ")`); bare != "" {
			t.Errorf("%s: %s", screen, bare)
		}
	}
	b.Open(w.URL + "/console/usage")
	b.Await("the likelihood is of something", "[...document.querySelectorAll('th')].some((e) => e.innerText === 'Fake likelihood')")
}
