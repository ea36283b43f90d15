package screens_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// TestNothingIsWiderThanTheNarrowestWindow also with the menu unfolded, with dialogs, and before login.
func TestNothingIsWiderThanTheNarrowestWindow(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	w.Used(1203)
	b.Look(browsertest.Narrow, browsertest.Light)
	fits := func(what string) {
		t.Helper()
		b.Await("all is there", "!document.querySelector('.skeleton') && document.fonts.status === 'loaded'")
		if wider := b.Value("[...document.querySelectorAll('body *')].filter((e) => !e.closest('.table-scroll, pre, .visually-hidden, .toast-place, .u-wrap') && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 90)).slice(0, 3).join('\\n')"); wider != "" {
			t.Errorf("%s: wider than 320 pixels:\n%s", what, wider)
		}
		if over := b.Value("document.documentElement.scrollWidth - document.documentElement.clientWidth"); over != "0" {
			t.Errorf("%s scrolls sideways by %s pixels", what, over)
		}
	}
	for _, screen := range consoletest.ScreenNames {
		b.Open(w.URL + "/console/" + screen)
		b.Await("the screen is shown", "document.querySelector('main h1')")
		fits(screen)
		b.Shoot("81-narrow-"+screen, browsertest.Narrow)
	}
	b.Click(".menu-button")
	fits("the menu")
	b.Shoot("81-narrow-menu", browsertest.Narrow)
	b.Open(w.URL + "/console/plan")
	b.Click("#overage-stop")
	fits("a dialog")
	b.Open(w.URL + "/console/keys")
	b.Click("#regenerate-primary")
	b.Click("#confirm-regenerate")
	b.Await("the key is shown", "document.querySelector('#new-key')")
	fits("the new key")
	b.Click("#key-saved")
	b.Run("fetch('/console/logout', { method: 'POST' }).then(() => { location = '/console/login' })")
	b.AwaitPath("/console/login")
	for _, path := range []string{"/console/login", "/console/password/forgot", "/marketplace/register", "/console/nowhere"} {
		b.Open(w.URL + path)
		fits(path)
	}
}

// TestTablesHintAtColumnsThatAreCutOff until the last is seen.
func TestTablesHintAtColumnsThatAreCutOff(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	w.Used(3)
	b.Open(w.URL + "/console/usage")
	b.Await("nothing is cut off on a laptop", "document.querySelector('.table-place') && !document.querySelector('.table-hint')")
	b.Look(browsertest.Phone, browsertest.Light)
	b.Await("more is to the right", "document.querySelector('.table-place').dataset.hidden.trim() === 'right' && document.querySelector('.table-hint')")
	b.Run("document.querySelector('.table-scroll').scrollLeft = 40")
	b.Await("more is on both sides", "document.querySelector('.table-place').dataset.hidden === 'left right'")
	b.Run("document.querySelector('.table-scroll').scrollLeft = 9999")
	b.Await("more is to the left", "document.querySelector('.table-place').dataset.hidden.trim() === 'left'")
}

// contrast gives the least contrast of a colour of elements with what is behind them.
const contrast = `((selector, property) => {
	const channel = (c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
	const light = (colour) => { const [r, g, b] = colour.match(/[\d.]+/g).map(Number); return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b); };
	const behind = (e) => { const c = getComputedStyle(e).backgroundColor; return c === "rgba(0, 0, 0, 0)" ? behind(e.parentElement) : c; };
	const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
	return Math.min(...[...document.querySelectorAll(selector)].map((e) => ratio(light(getComputedStyle(e)[property]), light(behind(e.parentElement)))));
})`

// TestBordersOfFieldsCanBeSeen at 3:1, in both schemes; one that is wrong is seen to be while it has the focus.
func TestBordersOfFieldsCanBeSeen(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("account")
	for _, scheme := range []browsertest.Scheme{browsertest.Light, browsertest.Dark} {
		b.Look(browsertest.Laptop, scheme)
		for screen, selector := range map[string]string{"account": "input:not(.visually-hidden)", "plan": ".choice:not(.is-chosen), input[type=number]:enabled", "people": "input[type=email], .choice:not(.is-chosen)"} {
			b.Open(w.URL + "/console/" + screen)
			b.Await("the fields are there", fmt.Sprintf("!document.querySelector('.skeleton') && document.querySelector(%q)", selector))
			if !b.Holds(fmt.Sprintf("%s(%q, 'borderTopColor') >= 3", contrast, selector)) {
				t.Errorf("%s, %s: the borders have a contrast of %s", screen, scheme, b.Value(fmt.Sprintf("%s(%q, 'borderTopColor')", contrast, selector)))
			}
		}
	}
	b.Look(browsertest.Laptop, browsertest.Light)
	b.Open(w.URL + "/console/login")
	b.AwaitPath("/console/dashboard")
	b.Open(w.URL + "/console/people")
	b.Type("#invite-email", "nobody")
	b.Click("#invite")
	b.Await("the field is marked", "document.querySelector('#invite-email[aria-invalid]')")
	bad := b.Value("getComputedStyle(document.querySelector('#invite-email')).borderTopColor")
	b.Run("document.querySelector('#invite-email').focus()")
	if focused := b.Value("getComputedStyle(document.querySelector('#invite-email')).borderTopColor"); focused != bad {
		t.Errorf("the border of a wrong field is %s, and %s while it has the focus", bad, focused)
	}
}

// TestForcedColoursLoseNothing: what a colour alone says is said in the colours of a person's system too.
func TestForcedColoursLoseNothing(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	w.Used(1203)
	b.Open(w.URL + "/console/dashboard")
	b.Await("the chart is there", "document.querySelector('.chart canvas')")
	b.Prefer("", map[string]string{"forced-colors": "active"})
	ground := "getComputedStyle(document.body).backgroundColor"
	background := func(selector string) string {
		return fmt.Sprintf("getComputedStyle(document.querySelector(%q)).backgroundColor", selector)
	}
	for what, script := range map[string]string{
		"the legend tells its two kinds apart": background(".key-included") + " !== " + background(".key-overage") + " && " + background(".key-included") + " !== " + ground,
		"the current page stands out":          background("nav [aria-current]") + " !== " + background("nav a:not([aria-current])"),
		"the meter shows a share":              "getComputedStyle(document.querySelector('.meter rect')).fill !== " + ground + " && getComputedStyle(document.querySelector('.meter')).borderTopWidth !== '0px'",
	} {
		if !b.Holds(script) {
			t.Errorf("not so: %s", what)
		}
	}
	b.Shoot("82-forced-colours", browsertest.Laptop)
}

// TestUsageIsPrinted whole, in light colours, without what cannot be used on paper.
func TestUsageIsPrinted(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	w.Used(1203)
	b.Open(w.URL + "/console/usage")
	b.Look(browsertest.Laptop, browsertest.Dark)
	b.Await("the chart is there", "document.querySelector('.chart canvas') && !document.querySelector('.skeleton')")
	pdf := b.Print("83-usage")
	if !bytes.HasPrefix(pdf, []byte("%PDF")) {
		t.Fatal("nothing is printed")
	}
	b.Run("dispatchEvent(new Event('beforeprint'))")
	b.Look(browsertest.Device{Name: "paper", Width: 680, Height: 960}, browsertest.Dark)
	b.Prefer("print", map[string]string{"prefers-color-scheme": "dark"})
	for what, script := range map[string]string{
		"the chart is whole":     "document.querySelector('.chart canvas').getBoundingClientRect().right <= document.querySelector('.chart').getBoundingClientRect().right + 1",
		"no menu":                "!document.querySelector('.side, .bar').checkVisibility() && !document.querySelector('.bar').checkVisibility()",
		"nothing to press":       "[...document.querySelectorAll('.button')].every((e) => !e.checkVisibility())",
		"a light ground":         "getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'",
		"dark text":              "getComputedStyle(document.body).color === 'rgb(15, 26, 24)'",
		"every column is inside": "[...document.querySelectorAll('.table')].every((e) => e.getBoundingClientRect().right <= innerWidth + 1)",
		"the bars are of paper":  `(() => { const c = document.querySelector(".chart canvas"); const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; for (let i = 0; i < d.length; i += 4) if (d[i] === 10 && d[i + 1] === 110 && d[i + 2] === 94 && d[i + 3] === 255) return true; return false; })()`,
	} {
		if !b.Holds(script) {
			t.Errorf("not so on paper: %s", what)
		}
	}
	b.Run("dispatchEvent(new Event('afterprint'))")
}

// TestMenuOfAPhone folds at Escape and gives the focus back; a long company name leaves "Log out" its line.
func TestMenuOfAPhone(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Chromium()
	token, _ := w.Market.Sell("starter", 1)
	visitor := w.Client()
	visitor.Post("/marketplace/register", "x-amzn-marketplace-token", token).Is(200)
	visitor.Post("/console/onboarding", consoletest.OnboardingForm("company", strings.Repeat("Analytical Engines and Difference Machines ", 2))...).Is(200).At("/console/check-mail")
	visitor.Activate()
	visitor.LogIn()
	w.LogIn(b)
	b.Look(browsertest.Phone, browsertest.Light)
	b.Click(".menu-button")
	b.Await("it is unfolded", "document.querySelector('nav').checkVisibility() && document.querySelector('.who-text')")
	if height := b.Value("document.querySelector('.who .button').getBoundingClientRect().height < 40"); height != "true" {
		t.Error("Log out is broken into lines")
	}
	b.Press(kb.Escape)
	b.Await("it is folded and the focus is on its button", "!document.querySelector('nav').checkVisibility() && document.activeElement.matches('.menu-button') && document.activeElement.getAttribute('aria-expanded') === 'false'")
	b.Click(".menu-button")
	b.Await("it is unfolded again", "document.querySelector('nav').checkVisibility()")
	b.Run("document.querySelector('nav a').focus()")
	b.Press(kb.Escape)
	b.Await("it is folded from inside too", "!document.querySelector('nav').checkVisibility() && document.activeElement.matches('.menu-button')")
	b.Run(`new MutationObserver((_, seen) => {
		seen.disconnect();
		window.unfolded = document.querySelector("nav").checkVisibility();
		document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
	}).observe(document.querySelector(".side"), { attributes: true });
	document.querySelector(".menu-button").click()`)
	b.Await("a key of the very moment in which it unfolds folds it", "window.unfolded && !document.querySelector('nav').checkVisibility()")
}
