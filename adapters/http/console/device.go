package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"
)

const (
	deviceCookie   = "liveness_device"
	deviceLifetime = 400 * 24 * time.Hour // the longest that browsers keep a cookie
	deviceLength   = 16                   // bytes
)

type deviceKey struct{}

// knowDevice gives a browser something to be known by, before its first login. It says nothing of the person, and outlives
// their sessions. AWS Marketplace's page sends no cookies of ours, so that a buyer's browser looks new there: nothing is given
// then.
func (c *console) knowDevice(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path == registerPath {
			next.ServeHTTP(w, r)
			return
		}
		device, known := deviceOf(r, c.cookieName(deviceCookie))
		if !known {
			drawn := make([]byte, deviceLength)
			_, _ = rand.Read(drawn) // never fails
			device = base64.RawURLEncoding.EncodeToString(drawn)
			http.SetCookie(w, &http.Cookie{ // #nosec G124 -- Secure but for an address that is http by the operator's choice
				Name: c.cookieName(deviceCookie), Value: device, Path: "/", MaxAge: int(deviceLifetime.Seconds()),
				Secure: c.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), deviceKey{}, device)))
	})
}

// deviceOf returns what a browser is known by; false for what we did not give it.
func deviceOf(r *http.Request, name string) (string, bool) {
	cookie, err := r.Cookie(name)
	if err != nil {
		return "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cookie.Value)
	return cookie.Value, err == nil && len(raw) == deviceLength
}

// device is what the browser of a request is known by.
func device(r *http.Request) string {
	value, _ := r.Context().Value(deviceKey{}).(string)
	return value
}
