package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestTypedAddressesLeadOn to what a person meant.
func TestTypedAddressesLeadOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for address, want := range map[string]string{
		"/": "/console/login", "/console": "/console/login", "/console/": "/console/login", "/Console": "/console/login", "/CONSOLE/Login": "/console/login",
		"/login": "/console/login", "/Login/": "/console/login", "/console/login/": "/console/login", "/dashboard": "/console/login",
		"/Console/Password/Forgot": "/console/password/forgot",
	} {
		b.get(address).is(200).at(want)
	}
	b.customer()
	for address, want := range map[string]string{"/": "/console/dashboard", "/login": "/console/dashboard", "/usage": "/console/usage", "/Console/Keys": "/console/keys"} {
		b.get(address).is(200).at(want)
	}
	for _, address := range []string{"/console/nowhere", "/Console/nowhere", "/console/api/nowhere", "/console/static/any/nowhere.js"} {
		b.get(address).is(404)
	}
	b.send(http.MethodPost, "/Console/login", "application/x-www-form-urlencoded", "").is(404)
}

// TestEveryAnswerCarriesTheHeaders: redirects, refusals, files and JSON too.
func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	stranger := w.browser()
	stranger.origin = "https://attacker.example"
	for name, a := range map[string]answer{
		"redirect": b.get("/").is(303), "page": b.get("/console/login").is(200), "not found": b.get("/console/nowhere").is(404),
		"no such file": b.get("/console/static/any/nowhere.js").is(404), "JSON refusal": b.get("/console/api/overview").is(401),
		"JSON not found": b.get("/console/api/nowhere").is(404), "forged": stranger.post("/console/login").is(403), "method": b.post("/console/dashboard").is(405),
		"file": b.get("/console/static/any/app.js").is(200),
	} {
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-",
		} {
			if got := a.header.Get(header); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
}
