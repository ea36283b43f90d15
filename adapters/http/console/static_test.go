package console_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	b := consoletest.New(t).Client()
	page := b.Get("/console/login").Body
	_, rest, _ := strings.Cut(page, `href="/console/static/`)
	version, _, _ := strings.Cut(rest, "/")
	for name, contentType := range map[string]string{"app.js": "text/javascript", "base.css": "text/css", "vendor/preact.js": "text/javascript", "vendor/inter-latin.woff2": "font/woff2", "icon.svg": "image/svg+xml"} {
		a := b.Get("/console/static/" + version + "/" + name).Is(200)
		if !strings.HasPrefix(a.Header.Get("Content-Type"), contentType) || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", name, a.Header)
		}
		if a := b.Get("/console/static/older/" + name).Is(200); strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s of another version may be kept for ever", name)
		}
	}
	b.Get("/console/static/" + version + "/../console.go").Is(404)
	b.Get("/console/static/" + version + "/").Is(404)
}

// TestScreenTellsItsModulesFirst, so that a browser need not find them one behind the other.
func TestScreenTellsItsModulesFirst(t *testing.T) {
	t.Parallel()
	b := consoletest.New(t).Client()
	b.Customer()
	page := b.Get("/console/usage").Is(200).Body
	for _, module := range []string{"app.js", "api.js", "vendor/preact.js", "usage.js", "checks.js"} {
		if !strings.Contains(page, "/"+module+`">`) {
			t.Errorf("the page does not tell of %s", module)
		}
	}
	for _, module := range []string{"keys.js", "chart.js", "vendor/uplot.js"} {
		if strings.Contains(page, "/"+module+`">`) {
			t.Errorf("the page tells of %s", module)
		}
	}
}

// TestFilesAreMinified, those that people wrote and the one that comes as it was written.
func TestFilesAreMinified(t *testing.T) {
	t.Parallel()
	b := consoletest.New(t).Client()
	for _, name := range []string{"app.js", "api.js", "chart.js", "vendor/uplot.js", "base.css", "console.css"} {
		text := b.Get("/console/static/any/" + name).Is(200).Body
		if strings.Contains(text, "/* ") || strings.Contains(text, "// ") || strings.Contains(text, "\nimport ") || strings.Contains(text, ";\n") {
			t.Errorf("%s is not minified:\n%.400s", name, text)
		}
	}
}

// The start waits for no file to be minified. It is not parallel: what is counted is the whole package's.
//
//nolint:paralleltest // see above
func TestFilesAreMinifiedWhenTheyAreAskedFor(t *testing.T) {
	var minified atomic.Int64
	defer console.CountMinified(&minified)()
	b := consoletest.New(t).Client()
	if n := minified.Load(); n != 0 {
		t.Errorf("%d files are minified before a browser asks", n)
	}
	for range 2 {
		b.Get("/console/static/any/app.js").Is(200)
	}
	if n := minified.Load(); n != 1 {
		t.Errorf("two questions for a file minify %d", n)
	}
}
