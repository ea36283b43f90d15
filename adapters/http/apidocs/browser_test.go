package apidocs_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
)

// scripted finds what only a browser with JavaScript would do.
var scripted = regexp.MustCompile(`(?i)<script|\son[a-z]+\s*=|javascript:`)

// Every page of the documentation can be read on a telephone, a laptop and zoomed in, by people and by what reads to them, without
// scripts.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	server := serve(t)
	b := browsertest.Open(t, browsertest.Installed(t), server.URL) // it asks no other host
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
