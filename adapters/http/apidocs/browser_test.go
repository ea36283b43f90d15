package apidocs_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/parts"
)

// chromium opens a browser that asks no other host than the documentation's.
func chromium(t *testing.T, host string) *browsertest.Browser {
	t.Helper()
	cache := parts.New(parts.Options{Progress: t.Output()})
	program, err := cache.Chromium(t.Context())
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("no Chromium: %v", err)
		}
		t.Fatal(err)
	}
	axe, err := cache.AxeCore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return browsertest.Open(t, browsertest.Config{Chromium: program, Axe: axe, Shots: os.Getenv("LIVENESS_SCREENSHOTS")}, host)
}

// scripted finds what only a browser with JavaScript would do.
var scripted = regexp.MustCompile(`(?i)<script|\son[a-z]+\s*=|javascript:`)

// Every page of the documentation can be read on a telephone, a laptop and zoomed in, by people and by what reads to them, without
// scripts.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	server := serve(t)
	b := chromium(t, server.URL)
	pages, err := apidocs.ErrorPages()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{
		"/docs": "90-docs-guide", "/docs?q=key": "91-docs-found", "/docs?q=zebra": "92-docs-nothing-found", "/docs/errors/nothing": "93-docs-no-such-page",
		"/docs/errors/quota_exceeded": "94-docs-error",
	}
	paths := slices.Collect(maps.Keys(kinds))
	for _, page := range pages {
		paths = append(paths, apidocs.ErrorsPrefix+page.Code)
	}
	for _, path := range paths {
		if _, text := get(t, server, path); scripted.MatchString(text) {
			t.Errorf("%s wants scripts: %q", path, scripted.FindString(text))
		}
		b.Open(server.URL + path)
		for _, device := range []browsertest.Device{browsertest.Narrow, browsertest.Phone, {Name: "desk", Width: 1280, Height: 900}} {
			b.Look(device, browsertest.Light)
			b.Await(fmt.Sprintf("%s fits a window of %d", path, device.Width), "document.documentElement.scrollWidth <= document.documentElement.clientWidth")
		}
		if name := kinds[path]; name != "" {
			b.Screen(name)
			delete(kinds, path) // once
		}
	}
	b.Open(server.URL + "/docs")
	b.Type("#q", "quota_exceeded")
	b.Click("header button")
	b.Await("what was found is shown", "document.querySelector('.hits')")
	b.Click("a[href='/docs/errors/quota_exceeded']")
	b.AwaitPath("/docs/errors/quota_exceeded")
}
