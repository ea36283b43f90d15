// Package browsertest walks the customer's journey in a real Chromium, looks at every screen with axe and takes
// screenshots of them. It knows a server by its address only, so that the same walk runs against the console alone and
// against everything that `liveness dev` starts.
package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pas-ta/liveness/adapters/parts"
)

// Config says what a Browser is made of.
type Config struct {
	Chromium string // path of the program
	Axe      string // path of axe.min.js; empty: screens are not looked at
	Shots    string // folder for screenshots; empty: none are taken
}

// Installed returns what a Browser is made of here. A machine without a Chromium may skip what needs one, CI may not.
// LIVENESS_SCREENSHOTS names a folder to write screenshots to.
func Installed(t testing.TB) Config {
	t.Helper()
	cache := parts.New(parts.Options{Progress: t.Output()})
	program, err := cache.Chromium(t.Context())
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("no Chromium: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	axe, err := cache.AxeCore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return Config{Chromium: program, Axe: axe, Shots: os.Getenv("LIVENESS_SCREENSHOTS")}
}

// stepTimeout bounds every single step in the browser, which shares the processors with what it waits for.
const stepTimeout = time.Minute

// Browser is a Chromium with one tab, as one person uses it.
type Browser struct {
	t      testing.TB
	config Config
	axe    string
	ctx    context.Context
}

// Open starts a browser that ends with the test. Whatever it reports on its console, like a file that the content policy
// has kept out, fails the test; so does a request to another host than hosts.
func Open(t testing.TB, config Config, hosts ...string) *Browser {
	t.Helper()
	b := &Browser{t: t, config: config}
	if config.Axe != "" {
		source, err := os.ReadFile(config.Axe)
		if err != nil {
			t.Fatalf("read axe: %v", err)
		}
		b.axe = string(source)
	}
	browser, leave, err := chromium.enter(context.WithoutCancel(t.Context()), config.Chromium)
	if err != nil {
		t.Fatal(err)
	}
	ctx, endTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(func() { endTab(); leave() })
	b.ctx = ctx
	// The context of the first call is the tab's life, so this one has no limit.
	if err := chromedp.Listen(ctx, func(event any) { b.watch(event, hosts) }); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b.Look(Laptop, Light)
	return b
}

// watch fails the test for what a person would find in the developer tools.
func (b *Browser) watch(event any, hosts []string) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// Refusals are part of the walk and have their own checks; all else is a fault of a page.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			b.t.Errorf("the browser reports: %s (%s)", e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		b.t.Errorf("a script failed: %s", exceptionText(e.ExceptionDetails))
	case *network.EventRequestWillBeSent:
		for _, host := range hosts {
			if strings.HasPrefix(e.Request.URL, host+"/") || strings.HasPrefix(e.Request.URL, "data:") || strings.HasPrefix(e.Request.URL, "about:") {
				return
			}
		}
		if len(hosts) > 0 {
			b.t.Errorf("a page asks another host: %s", e.Request.URL)
		}
	}
}

func exceptionText(details *runtime.ExceptionDetails) string {
	if details.Exception != nil {
		return details.Text + " " + details.Exception.Description
	}
	return details.Text
}

// step runs one action; what names it in failures.
func step[T any](b *Browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.state())
	}
	return result
}

// call sends a command of the protocol.
func call[P, R any](b *Browser, what string, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return result
}

// state returns where the browser is, for failures.
func (b *Browser) state() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("'at ' + location.href + ':\\n' + document.body?.innerText"))
	if err != nil {
		return err.Error()
	}
	if picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)); err == nil && b.config.Shots != "" {
		_ = os.WriteFile(filepath.Join(b.config.Shots, "failure.png"), picture, 0o600) // only an aid
	}
	return text
}

// Open goes to an address.
func (b *Browser) Open(address string) {
	b.t.Helper()
	step(b, "open "+address, chromedp.Navigate(address))
}

// Click presses what a selector names.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	step(b, "click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Type fills a field, over what is in it.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	b.Await(selector+" is there", fmt.Sprintf("document.querySelector(%q)?.select() ?? document.querySelector(%q) !== null", selector, selector))
	step(b, "type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses a key, as kb names it.
func (b *Browser) Press(key string) {
	b.t.Helper()
	step(b, "press a key", chromedp.KeyEvent(key))
}

// Run runs a script in the page.
func (b *Browser) Run(script string) {
	b.t.Helper()
	step(b, "run "+script, chromedp.Evaluate[bool]("(() => { "+script+"; return true; })()"))
}

// Value returns what a script in the page gives, as text.
func (b *Browser) Value(script string) string {
	b.t.Helper()
	return step(b, "ask "+script, chromedp.Evaluate[string]("String("+script+")"))
}

// Before runs a script in every page that is opened from now on, before the page's own.
func (b *Browser) Before(script string) {
	b.t.Helper()
	call(b, "run a script before every page", page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// Tab opens another tab of the same person.
func (b *Browser) Tab() *Browser {
	b.t.Helper()
	ctx, end := chromedp.NewContext(b.ctx)
	b.t.Cleanup(end)
	tab := &Browser{t: b.t, config: b.config, axe: b.axe, ctx: ctx}
	if err := chromedp.Listen(ctx, func(event any) { tab.watch(event, nil) }); err != nil {
		b.t.Fatalf("open a tab: %v", err)
	}
	tab.Look(Laptop, Light)
	return tab
}

// Prefer changes what a person's system asks for, besides the colour scheme, as forced-colors; paper is drawn when media is print.
func (b *Browser) Prefer(media string, features map[string]string) {
	b.t.Helper()
	params := emulation.SetEmulatedMediaParams{Media: media}
	for name, value := range features {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: name, Value: value})
	}
	call(b, "prefer", emulation.SetEmulatedMedia, params)
	b.draw()
}

// Print prints the page on A4 as a person would, and keeps the PDF with the screenshots.
func (b *Browser) Print(name string) []byte {
	b.t.Helper()
	pdf := call(b, "print "+name, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69}).Data
	if b.config.Shots != "" {
		if err := os.WriteFile(filepath.Join(b.config.Shots, name+".pdf"), pdf, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return pdf
}

// Choose puts a file into a field for files.
func (b *Browser) Choose(selector, file string) {
	b.t.Helper()
	step(b, "choose "+file, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{file}))
}

// Text returns the text of what a selector names.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(step(b, "read "+selector, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible)))
}

// Await waits until a page's script gives true, on whichever page the browser is by then.
func (b *Browser) Await(what, script string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	look := time.NewTicker(30 * time.Millisecond)
	defer look.Stop()
	for {
		// While a page is left for another one there is nothing to ask; that is an error, and not the end of waiting.
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+script+")"))
		if err == nil && holds {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.t.Fatalf("waited in vain until %s (%v)\n%s", what, err, b.state())
		}
	}
}

// Holds returns whether a page's script gives true now.
func (b *Browser) Holds(script string) bool {
	b.t.Helper()
	return step(b, "ask "+script, chromedp.Evaluate[bool]("Boolean("+script+")"))
}

// quoted writes a text as a script has it.
func quoted(text string) string { return strconv.Quote(text) }

// AwaitPath waits until the browser is at a path.
func (b *Browser) AwaitPath(path string) {
	b.t.Helper()
	b.Await("the browser is at "+path, fmt.Sprintf("location.pathname === %q && document.readyState === 'complete'", path))
}

// AwaitText waits until what a selector names has exactly a text.
func (b *Browser) AwaitText(selector, text string) {
	b.t.Helper()
	b.Await(fmt.Sprintf("%s says %q", selector, text), fmt.Sprintf("document.querySelector(%q)?.innerText.trim() === %q", selector, text))
}

// Device is what a screen is looked at on.
type Device struct {
	Name          string
	Width, Height int64
	Phone         bool
}

// The devices of screenshots.
var (
	Laptop = Device{Name: "laptop", Width: 1366, Height: 860}
	Phone  = Device{Name: "phone", Width: 390, Height: 844, Phone: true}
	Narrow = Device{Name: "narrow", Width: 320, Height: 700, Phone: true} // as a laptop that is zoomed to 400 %
)

// Scheme is what a person prefers, light or dark.
type Scheme string

// The colour schemes.
const (
	Light Scheme = "light"
	Dark  Scheme = "dark"
)

// Look changes what the browser pretends to be.
func (b *Browser) Look(device Device, scheme Scheme) {
	b.t.Helper()
	b.resize(device)
	call(b, "prefer "+string(scheme), emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: string(scheme)}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

func (b *Browser) resize(device Device) {
	b.t.Helper()
	call(b, "look on a "+device.Name, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: device.Width, Height: device.Height, DeviceScaleFactor: 1, Mobile: device.Phone,
	})
}

// draw waits until the page is drawn as it now is, with every transition at its end: in the middle of one from light to
// dark there are colours that nobody has chosen.
func (b *Browser) draw() {
	b.t.Helper()
	step(b, "draw", chromedp.Evaluate[bool](`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
		.then(() => Promise.allSettled(document.getAnimations().map((a) => a.finished))).then(() => true)`, chromedp.EvalAwaitPromise))
}

// Screen looks at the current screen: with axe on a light laptop and a dark phone, and, when screenshots are wanted, for
// every device and scheme. Nothing on it may be wider than the window.
func (b *Browser) Screen(name string) {
	b.t.Helper()
	for _, device := range []Device{Laptop, Phone} {
		for _, scheme := range []Scheme{Light, Dark} {
			inspected := device.Phone == (scheme == Dark)
			if !inspected && b.config.Shots == "" {
				continue
			}
			b.Look(device, scheme)
			b.Await("fonts and layout are there", "document.fonts.status === 'loaded' && !document.querySelector('.skeleton')")
			b.draw()
			seen := fmt.Sprintf("%s on a %s %s", name, scheme, device.Name)
			if wider := step(b, "measure "+seen, chromedp.Evaluate[int]("document.documentElement.scrollWidth - document.documentElement.clientWidth")); wider > 0 {
				b.t.Errorf("%s is %d pixels wider than the window", seen, wider)
			}
			if inspected {
				b.inspect(seen)
			}
			b.shoot(fmt.Sprintf("%s-%s-%s.png", name, device.Name, scheme), device)
		}
	}
	b.Look(Laptop, Light)
}

// inspect reports what axe finds.
func (b *Browser) inspect(seen string) {
	b.t.Helper()
	if b.axe == "" {
		return
	}
	step(b, "load axe", chromedp.Evaluate[bool](b.axe+"; true"))
	result := step(b, "inspect "+seen, chromedp.Evaluate[string](`axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(
		r.violations.map((v) => ({ rule: v.id, help: v.help, nodes: v.nodes.map((n) => n.html) }))))`, chromedp.EvalAwaitPromise))
	var violations []struct {
		Rule, Help string
		Nodes      []string
	}
	if err := json.Unmarshal([]byte(result), &violations); err != nil {
		b.t.Fatalf("axe on %s: %v", seen, err)
	}
	for _, v := range violations {
		b.t.Errorf("axe on %s: %s (%s)\n%s", seen, v.Help, v.Rule, strings.Join(v.Nodes, "\n"))
	}
}

// Shoot takes a screenshot of the page as it is, which is looked at on a device, when screenshots are wanted.
func (b *Browser) Shoot(name string, device Device) {
	b.t.Helper()
	b.shoot(name+".png", device)
}

// shoot takes a screenshot of the whole page: the window is made as high as the page for it, because a browser that is
// asked for more than its window lays the rest out anew in the middle of the picture.
func (b *Browser) shoot(name string, device Device) {
	b.t.Helper()
	if b.config.Shots == "" {
		return
	}
	if height := step(b, "measure the page", chromedp.Evaluate[int64]("document.querySelector('dialog[open]') ? 0 : document.documentElement.scrollHeight")); height > device.Height {
		whole := device
		whole.Height = height
		b.resize(whole)
		b.draw()
		defer b.resize(device)
	}
	picture := call(b, "take "+name, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
	if err := os.MkdirAll(b.config.Shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.config.Shots, name), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
