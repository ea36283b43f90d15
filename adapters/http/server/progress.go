package server

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// progress sets the connection's deadlines as a request moves on. A single deadline for the whole request would have to
// be long enough for the slowest honest upload, and everybody could hold a connection for as long.
func progress(next http.Handler, limits Limits) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		answer := &movingWriter{ResponseWriter: w, control: control, stall: limits.Stall}
		answer.extend()
		// What the handler has written may leave only after it has returned.
		defer answer.extend()
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(answer, r)
			return
		}
		body := &movingBody{ReadCloser: r.Body, control: control, limits: limits, started: time.Now()}
		// A copy: net/http looks at the body of the original to decide what to do with an unread rest.
		moving := new(http.Request)
		*moving = *r
		moving.Body = body
		defer body.linger()
		next.ServeHTTP(answer, moving)
	})
}

// movingBody cuts off a body that stalls or trickles.
type movingBody struct {
	io.ReadCloser
	control *http.ResponseController
	limits  Limits
	started time.Time
	read    int64
	ended   bool
}

// extend allows the next bytes: soon, and not later than the least rate has them.
func (b *movingBody) extend() {
	now := time.Now()
	deadline := b.started.Add(b.limits.Grace + time.Duration(b.read/b.limits.MinRate)*time.Second)
	if stalled := now.Add(b.limits.Stall); stalled.Before(deadline) {
		deadline = stalled
	}
	// Where deadlines are not supported, as in a recorder of httptest, there is no connection to protect.
	_ = b.control.SetReadDeadline(deadline)
}

// Read implements io.Reader.
func (b *movingBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	b.extend()
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if errors.Is(err, io.EOF) {
		b.ended = true
		// From here on net/http reads ahead to notice a caller that leaves; a deadline would look like one.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// lingering is how long the rest of a body that no handler wants is waited for. Net/http reads some of it before it
// sends the answer, so that a caller that is still sending gets to see the answer.
const lingering = time.Second

func (b *movingBody) linger() {
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Now().Add(min(lingering, b.limits.Stall)))
	}
}

// movingWriter cuts off a caller that does not take its answer.
type movingWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

// extend allows for the lingering that comes before the answer leaves.
func (w *movingWriter) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(w.stall + lingering)) }

// Write implements io.Writer.
func (w *movingWriter) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *movingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
