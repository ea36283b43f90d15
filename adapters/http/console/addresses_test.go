package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// TestTypedAddressesLeadOn to what a person meant.
func TestTypedAddressesLeadOn(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	for address, want := range map[string]string{
		"/": "/console/login", "/console": "/console/login", "/console/": "/console/login", "/Console": "/console/login", "/CONSOLE/Login": "/console/login",
		"/login": "/console/login", "/Login/": "/console/login", "/console/login/": "/console/login", "/dashboard": "/console/login",
		"/Console/Password/Forgot": "/console/password/forgot",
	} {
		b.Get(address).Is(200).At(want)
	}
	b.Customer()
	for address, want := range map[string]string{"/": "/console/dashboard", "/login": "/console/dashboard", "/usage": "/console/usage", "/Console/Keys": "/console/keys"} {
		b.Get(address).Is(200).At(want)
	}
	for _, address := range []string{"/console/nowhere", "/Console/nowhere", "/console/api/nowhere", "/console/static/any/nowhere.js"} {
		b.Get(address).Is(404)
	}
	b.Send(http.MethodPost, "/Console/login", "application/x-www-form-urlencoded", "").Is(404)
}

// TestEveryAnswerCarriesTheHeaders: redirects, refusals, files and JSON too.
func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	stranger := w.Client()
	stranger.Origin = "https://attacker.example"
	for name, a := range map[string]consoletest.Answer{
		"redirect": b.Get("/").Is(303), "page": b.Get("/console/login").Is(200), "not found": b.Get("/console/nowhere").Is(404),
		"no such file": b.Get("/console/static/any/nowhere.js").Is(404), "JSON refusal": b.Get("/console/api/overview").Is(401),
		"JSON not found": b.Get("/console/api/nowhere").Is(404), "forged": stranger.Post("/console/login").Is(403), "method": b.Post("/console/dashboard").Is(405),
		"file": b.Get("/console/static/any/app.js").Is(200),
	} {
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-",
		} {
			if got := a.Header.Get(header); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
}
