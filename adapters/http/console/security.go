package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pas-ta/liveness/adapters/http/clientaddress"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/commands/accounts"
)

// contentPolicy lets a page use nothing but files of this host: no inline script or style, no frame, no other origin.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Pages may use none of the visitor's devices. The console's own document may use the camera, where a photo can be tried; the
// browser still asks the person.
const (
	noDevicesPolicy = "camera=(), geolocation=(), microphone=()"
	cameraPolicy    = "camera=(self), geolocation=(), microphone=()"
)

func (c *console) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Links in mails carry secrets in their address, which must not reach another site. "no-referrer" would do so
		// too, but makes browsers send forms with "Origin: null", which the check for forged forms then refuses.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", noDevicesPolicy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// secure returns whether customers reach us by TLS. Only a machine's own address goes without.
func (c *console) secure() bool { return c.PublicURL.Scheme == "https" }

// crossOriginProtection refuses state-changing requests that another site's page has sent. AWS Marketplace is such a site
// and meant to be: what it posts is a token that only AWS can resolve, and never the session's.
func crossOriginProtection(public *url.URL, refused http.Handler) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	// Behind a proxy that rewrites the Host header the public origin is the only thing to compare with.
	if err := p.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, fmt.Errorf("public address %s: %w", public, err)
	}
	p.AddInsecureBypassPattern("POST " + registerPath)
	p.SetDenyHandler(refused)
	return p, nil
}

// noStore keeps everything that says nothing else out of caches, refusals too.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (c *console) limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != tryPath { // a photo has its own limit, that of the API
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// withAddress tells the security log where a request comes from.
func (c *console) withAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(securitylog.WithAddress(r.Context(), clientaddress.Of(r, c.TrustedProxies))))
	})
}

// noteLink writes down that a mailed link was refused.
func (c *console) noteLink(r *http.Request, purpose accounts.LinkPurpose, err error) {
	if p := problemOf(err); p.Status < http.StatusInternalServerError {
		c.Security.Note(r.Context(), securitylog.LinkRefused, slog.String("link", string(purpose)), slog.String("code", p.Code))
	}
}

// clientAddress is where a request comes from, as attempts are counted by.
func (c *console) clientAddress(r *http.Request) string {
	return clientaddress.Of(r, c.TrustedProxies).String()
}

// localPath accepts only a screen of the console, of one customer or of whichever was looked at last, as the place to go on after
// login, so that a crafted link cannot lead elsewhere.
func localPath(next string) string {
	path, query, asks := strings.Cut(next, "?")
	screen, ours := strings.CutPrefix(path, screenPath)
	if (ours && slices.Contains(screens, screen) || screenOfOne.MatchString(path)) && (!asks || oneCustomer.MatchString(query)) {
		return next
	}
	return dashboardPath
}
