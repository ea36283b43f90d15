package server

import "net/http"

// strictTransport tells browsers to reach this host, and those below its name, by TLS alone for a year.
const strictTransport = "max-age=31536000; includeSubDomains"

// StrictTransport returns a handler whose every answer, refusals too, tells browsers to come by TLS alone: the first request
// that a browser sends without it is the one that others can read and answer. It is for sites that are reached by https.
func StrictTransport(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", strictTransport)
		next.ServeHTTP(w, r)
	})
}
