package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/pas-ta/liveness/commands"
)

const (
	followedCookie = "liveness_followed" // the position of the log after what this browser has done last
	// followFor is how long screens wait for that. Longer would let a read model that stands still, or a log that was begun anew,
	// slow every later read.
	followFor = time.Minute
)

// follow has the screens of a browser wait for what its requests do, those that fail behind an event that stands included, in all
// tabs, and whether a screen or a page asked for it. The session does not keep the position: it is written as it was read when the
// request began, and would undo what another tab has put into it meanwhile.
func (c *console) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(commands.NoteAppended(r.Context()))
		next.ServeHTTP(&followedWriter{ResponseWriter: w, begin: func() {
			if position := commands.NewestAppended(r.Context()); position > c.followed(r) {
				http.SetCookie(w, &http.Cookie{ // #nosec G124 -- Secure but for an address that is http by the operator's choice
					Name: c.cookieName(followedCookie), Value: strconv.FormatUint(position, 10), Path: "/",
					MaxAge: int(followFor.Seconds()), Secure: c.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
				})
			}
		}}, r)
	})
}

// followed returns the position that the screens of a browser wait for; 0 for none. What somebody else writes there costs them a wait.
func (c *console) followed(r *http.Request) uint64 {
	cookie, err := r.Cookie(c.cookieName(followedCookie))
	if err != nil {
		return 0
	}
	position, err := strconv.ParseUint(cookie.Value, 10, 63)
	if err != nil {
		return 0
	}
	return position
}

// followedWriter runs begin before an answer's header is written, as late as a header can be set.
type followedWriter struct {
	http.ResponseWriter
	begin func()
}

// WriteHeader implements http.ResponseWriter.
func (w *followedWriter) WriteHeader(status int) {
	w.once()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *followedWriter) Write(body []byte) (int, error) {
	w.once()
	return w.ResponseWriter.Write(body)
}

// Unwrap is for http.ResponseController.
func (w *followedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *followedWriter) once() {
	if w.begin != nil {
		w.begin()
		w.begin = nil
	}
}
