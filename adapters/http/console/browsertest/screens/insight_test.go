package screens_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// measureShifts has every page add up how far what is seen moves by itself, and note what did.
const measureShifts = `window.shifted = 0; window.movers = []; new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) {
	window.shifted += e.value;
	for (const { node, previousRect: p, currentRect: c } of e.sources) window.movers.push(` + "`${node?.outerHTML?.slice(0, 200)} from ${p.y}+${p.height} to ${c.y}+${c.height}`" + `);
} }).observe({ type: "layout-shift", buffered: true })`

// looks opens a screen at three widths, with axe, and fails when it is wider than the window or moved while it loaded.
func looks(t *testing.T, w *consoletest.World, b *browsertest.Browser, path, shown, name string) {
	t.Helper()
	b.Open(w.URL + path)
	b.Await(name+" is shown", "document.querySelector("+fmt.Sprintf("%q", shown)+") && !document.querySelector('.skeleton')")
	if moved := b.Value("window.shifted < 0.05 ? '' : [window.shifted, ...window.movers].join('\\n')"); moved != "" {
		t.Errorf("%s moves by %s while it loads", name, moved)
	}
	for _, device := range []browsertest.Device{{Name: "narrow", Width: 320, Height: 700, Phone: true}, browsertest.Phone, {Name: "desk", Width: 1280, Height: 900}} {
		b.Look(device, browsertest.Light)
		if wider := b.Value("document.documentElement.scrollWidth - document.documentElement.clientWidth"); wider != "0" {
			t.Errorf("%s is %s pixels wider than a window of %d", name, wider, device.Width)
		}
	}
	b.Screen(name)
}

func TestFailuresInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	b.Before(measureShifts)
	looks(t, w, b, "/console/dashboard", "#first-call", "60-overview-before-anything")
	if b.Holds("document.querySelector('.failures, #no-failures')") {
		t.Error("who has not begun is told of failed calls")
	}
	now := w.Clock.Now()
	kind := func(status int, code, message string, times int) (calls []counting.FailedCall) {
		for n := range times {
			calls = append(calls, counting.FailedCall{
				At: now.Add(-time.Duration(n) * time.Hour), RequestID: uuid.New(), Status: status, Code: code, Message: message, KeySlot: domain.SlotPrimary, KeyPrefix: "lc_abc12",
			})
		}
		return calls
	}
	w.Fail(kind(400, "invalid_image", "No face was detected. Show one face, from the front and not too small.", 7)...)
	w.Fail(kind(429, "quota_exceeded", `The monthly limit of the plan is reached and the over-limit setting is "stop". Switch it on the console's Plan screen or wait for the next month (UTC).`, 3)...)
	w.Fail(kind(503, "overloaded", "The service is busy. The request was not counted; try again as Retry-After says.", 1)...)
	looks(t, w, b, "/console/dashboard", ".failures canvas", "61-overview-failures")
	b.Await("the three kinds are told, the most frequent first", "[...document.querySelectorAll('.failures tbody tr td:first-child code')].map((e) => e.innerText).join() === 'invalid_image,quota_exceeded,overloaded'")
	w.Count(w.Subscription(), now.Add(-time.Hour), 40)
	w.Settled()
	looks(t, w, b, "/console/dashboard", "#latency", "62-overview-busy")
	looks(t, w, b, "/console/usage", ".failures canvas", "63-usage-failures")
	b.Run("document.querySelector('#newest-failures summary').focus()")
	b.Press(kb.Enter)
	b.Await("the newest are told one by one", "document.querySelectorAll('#newest-failures[open] tbody tr').length === 11")
	b.Screen("64-usage-failures-one-by-one")
}

func TestFindCheckInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("usage")
	b.Before(measureShifts)
	looks(t, w, b, "/console/usage", "#filter-day", "65-usage-empty")
	w.Count(w.Subscription(), w.Clock.Now().Add(-time.Minute), 30)
	w.Settled()
	looks(t, w, b, "/console/usage", "td a[href^='/console/checks/']", "66-usage")
	rows := func(n int) string {
		return fmt.Sprintf("document.querySelectorAll(\"td a[href^='/console/checks/']\").length === %d && !document.querySelector('.skeleton')", n)
	}
	choose := func(field, value string) {
		b.Run(fmt.Sprintf("const s = document.querySelector('#filter-%s'); s.value = %q; s.dispatchEvent(new Event('change', { bubbles: true }))", field, value))
	}
	choose("verdict", "fake")
	b.Await("three were judged fake", rows(3))
	choose("face", "unusable")
	b.Await("none of them was unusable", "[...document.querySelectorAll('.empty h3')].some((e) => e.innerText === 'No check is like that')")
	b.Screen("67-usage-nothing-found")
	choose("face", "")
	b.Await("three again", rows(3))
	b.Click("td a[href^='/console/checks/']")
	b.Await("the check is shown", "document.querySelector('#request-id') && !document.querySelector('.skeleton')")
	request, path := b.Text("#request-id"), b.Value("location.pathname")
	if !strings.HasSuffix(path, ".27") || !b.Holds("document.querySelector('#recorded').innerText.includes('modelPack')") {
		t.Errorf("the check at %s does not show the whole event", path)
	}
	if !b.Holds("document.querySelector('nav [aria-current=page]').innerText.trim() === 'Usage'") {
		t.Error("the navigation does not say where one is")
	}
	if mail := b.Value("decodeURIComponent(document.querySelector('#ask-support').href)"); !strings.HasPrefix(mail, "mailto:support@example.com?") || !strings.Contains(mail, request) || !strings.Contains(mail, path) {
		t.Errorf("support is asked by %s", mail)
	}
	looks(t, w, b, path, "#request-id", "68-check")
	b.Open(w.URL + strings.Replace(path, ".27", ".21", 1))
	b.Await("it is said why the face is not usable", "document.querySelector('#issue-too_dark')?.innerText.includes('Find more light')")
	b.Open(w.URL + "/console/usage")
	b.Await("all are listed", rows(25))
	choose("verdict", "fake")
	b.Await("three", rows(3))
	b.Click("td a[href^='/console/checks/']")
	b.Await("the check is shown", "document.querySelector('#request-id')")
	b.Run("history.back()")
	b.Await("what was looked for is kept on the way back", rows(3)+" && document.querySelector('#filter-verdict').value === 'fake'")
	b.Click("#filter-clear")
	b.Await("nothing is looked for", rows(25)+" && document.querySelector('#filter-verdict').value === ''")
	b.Type("#filter-request", "no id")
	b.Press(kb.Enter)
	b.Await("that is no request ID", "document.querySelector('#filter-request[aria-invalid=true]') && document.querySelector('#filter-request-error').innerText.includes('X-Request-Id')")
	b.Screen("69-usage-no-request-id")
	b.Type("#filter-request", request)
	b.Press(kb.Enter)
	b.Await("the request is found", rows(1))
	b.Open(w.URL + "/console/checks/2026-11.9999")
	b.Await("there is no such check", "document.querySelector('.failure')?.innerText.includes('no such check')")
	b.Screen("69b-no-such-check")
}

func TestCostInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	started := w.Clock.Now() // noon of the twentieth
	w.Client().Customer()
	b := w.Chromium()
	w.LogIn(b)
	b.Before(measureShifts)
	at := func(passed time.Duration) { w.Clock.Advance(started.Add(passed).Sub(w.Clock.Now())) }
	at(time.Hour)
	looks(t, w, b, "/console/plan", "#cost-forecast", "70-plan-before-anything")
	if told := b.Text("#cost-forecast"); told != "cannot be told before a day of calls has passed" {
		t.Errorf("before any call it is foretold: %s", told)
	}
	w.Count(w.Subscription(), w.Clock.Now(), 1_100)
	at(5 * 24 * time.Hour)
	w.Settled()
	w.Credit(w.Subscription(), domain.MonthOf(w.Clock.Now()), 40)
	w.Settled()
	looks(t, w, b, "/console/plan", "#cost .num strong", "71-plan-cost")
	for selector, told := range map[string]string{
		"#cost-so-far":   "100 calls, 40 credited: $15.00",
		"#cost-forecast": "about 2,310 calls at today’s pace, 1,310 over the limit: about $317.50",
	} {
		if said := b.Text(selector); said != told {
			t.Errorf("%s says %q, want %q", selector, said, told)
		}
	}
	b.Click("#overage-ceiling")
	b.Await("what it leads to is told", "document.querySelector('dialog[open] #beyond-cost')?.innerText.includes('about 100 calls')") // a tenth of the plan
	b.Type("#ceiling", "1000")
	b.Await("and what a ceiling comes to", "document.querySelector('#beyond-cost').innerText.includes('about 1,000 calls lie over the limit by 30 Nov 2026: about $240.00') && document.querySelector('#beyond-cost').innerText.includes('At most $250.00 a month')")
	b.Screen("72-ceiling-cost")
	b.Click("#confirm-overage")
	b.Await("the card follows", "!document.querySelector('dialog[open]') && document.querySelector('#cost-forecast').innerText.includes('1,000 over the limit: about $240.00')")
	b.Click("#overage-continue")
	b.Await("without a ceiling it is more", "document.querySelector('dialog[open] #beyond-cost')?.innerText.includes('about 1,310 calls lie over the limit by 30 Nov 2026: about $317.50')")
	b.Screen("72b-continue-cost")
	b.Press(kb.Escape)
	b.Await("the focus is back", "!document.querySelector('dialog[open]') && document.activeElement.id === 'overage-continue'")
}

func TestKeysInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	b.Before(measureShifts)
	looks(t, w, b, "/console/keys", "#rename-primary", "72-keys-unnamed")
	b.Await("neither was used", "document.querySelector('#used-primary').innerText === 'Not used since it was issued'")
	b.Click("#rename-primary")
	b.Await("a name is asked for", "document.activeElement.id === 'key-name'")
	b.Screen("73-key-name")
	b.Press(kb.Escape)
	b.Await("the focus is back", "!document.querySelector('dialog[open]') && document.activeElement.id === 'rename-primary'")
	b.Press(kb.Enter)
	b.Await("a name is asked for", "document.activeElement.id === 'key-name'")
	b.Type("#key-name", "lc_abc12ABCDEFGHIJKLMNOPQRSTUVWX")
	b.Press(kb.Enter)
	b.Await("a key is no name", "document.querySelector('#key-name[aria-invalid=true]') && document.querySelector('#key-name-error').innerText.includes('This is an API key')")
	b.Screen("74-key-name-refused")
	b.Type("#key-name", "Production, Frankfurt")
	b.Press(kb.Enter)
	b.Await("it has its name", "!document.querySelector('dialog[open]') && document.querySelector('#name-primary')?.innerText === 'Production, Frankfurt'")
	w.Count(w.Subscription(), w.Clock.Now(), 1)
	w.Settled()
	old := replaced(b)
	w.SendReplaced(old, 12)
	looks(t, w, b, "/console/keys", "#rename-primary", "75-keys")
	b.Await("it is told that the old key is still sent", "document.querySelector('.note-warn')?.innerText.includes('12 calls refused with 401')")
	b.Click(`nav a[href="/console/docs"]`)
	looks(t, w, b, "/console/docs", "#first-call", "76-docs")
	b.Run("document.querySelector('#first-curl').focus()")
	b.Press(kb.ArrowRight)
	b.Await("the next language has the focus and is shown", "document.activeElement.id === 'first-go' && document.querySelector('#first-call').innerText.includes('package main')")
	b.Press(kb.ArrowLeft)
	b.Press(kb.ArrowLeft)
	b.Await("before the first comes the last", "document.activeElement.id === 'first-php' && document.querySelector('#first-call').innerText.includes('<?php')")
	b.Screen("77-docs-php")
	b.Open(w.URL + "/console/keys")
	b.Await("the language is remembered", "document.querySelector('#first-call')?.innerText.includes('<?php')")
}

// replaced regenerates the primary key on the screen, looks at the code that has the new one in it, and returns the one before.
func replaced(b *browsertest.Browser) (old string) {
	b.Await("a key is there", "document.querySelector('#regenerate-primary')")
	issue := func() string {
		b.Click("#regenerate-primary")
		b.Click("#confirm-regenerate")
		b.Await("the new key is in the code", "document.querySelector('dialog[open] #issued-call')?.innerText.includes(document.querySelector('#new-key').innerText)")
		key := b.Text("#new-key")
		b.Screen("74b-key-issued")
		b.Click("#key-saved")
		b.AwaitText("#prefix-primary", key[:8]+"…")
		return key
	}
	old = issue()
	issue()
	return old
}

// A reader sees what an owner sees, without what would change it: neither while the screen does not know yet who looks at it,
// nor afterwards.
func TestReaderInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	ada.Command("keys/primary/name", map[string]string{"name": "Production"}).Is(200)
	ada.Invite(ada.Session("").Customer, "reader")
	w.Count(w.Subscription(), w.Clock.Now(), 3)
	w.Fail(consoletest.NoFace(w.Clock.Now()))
	w.Settled()
	b := w.Chromium()
	b.Open(w.URL + "/console/login")
	b.Type("#email", consoletest.GraceAddress)
	b.Type("#password", consoletest.Password)
	b.Click("button[type=submit]")
	b.Await("the customer is kept", "sessionStorage.getItem('liveness.customer')")
	b.Before(`const ask = window.fetch, told = new Promise((tell) => { window.tell = tell; });
		window.fetch = async (address, ...rest) => { if (String(address).includes("/api/session")) await told; return ask(address, ...rest); }`)
	offers := func(path string) {
		if b.Holds("document.querySelector('#rename-primary, #regenerate-primary:enabled, #overage-stop:enabled, #usage-mails:enabled')") {
			t.Errorf("%s offers a reader what only owners may do", path)
		}
	}
	for path, shown := range map[string]string{"keys": "#name-primary", "plan": "#cost-so-far", "usage": ".failures tbody td", "docs": "#first-call", "checks/2026-11.1": "#request-id"} {
		b.Open(w.URL + "/console/" + path)
		b.Await(path+" is shown", "document.querySelector("+fmt.Sprintf("%q", shown)+")")
		offers(path)
		b.Run("window.tell()")
		b.AwaitText(".who-text .badge", "Reader")
		offers(path)
	}
}
