package server

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// progress sets the connection's deadlines as a request moves on. A single deadline for the whole request would have to
// be long enough for the slowest honest upload, and everybody could hold a connection for as long.
func (c *connections) progress(next http.Handler, limits Limits, draining *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		reading := &readDeadline{control: control}
		answer := &movingWriter{ResponseWriter: w, control: control, stall: limits.Stall, draining: draining}
		answer.extend()
		defer answer.end()
		ctx, end, err := c.begin(r, reading.pass)
		defer end()
		if err != nil {
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many connections. Try again as Retry-After says.", http.StatusServiceUnavailable)
			return
		}
		// A copy: net/http looks at the body of the original to decide what to do with an unread rest.
		moving := r.WithContext(ctx)
		if r.Body != nil && r.Body != http.NoBody {
			body := &movingBody{ReadCloser: r.Body, deadline: reading, limits: limits, started: time.Now()}
			moving.Body = body
			defer body.linger()
		}
		next.ServeHTTP(answer, moving)
	})
}

// movingBody cuts off a body that stalls or trickles, or takes too long altogether.
type movingBody struct {
	io.ReadCloser
	deadline *readDeadline
	limits   Limits
	started  time.Time
	read     int64
	ended    bool
}

// extend allows the next bytes: soon, not later than the least rate has them, and not after the end of the upload.
func (b *movingBody) extend() {
	allowed := min(b.limits.Grace+time.Duration(b.read/b.limits.MinRate)*time.Second, b.limits.Upload)
	deadline := b.started.Add(allowed)
	if stalled := time.Now().Add(b.limits.Stall); stalled.Before(deadline) {
		deadline = stalled
	}
	b.deadline.move(deadline)
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
		b.deadline.move(time.Time{})
	}
	return n, err
}

// lingering is how long the rest of a body that no handler wants is waited for. Net/http reads some of it before it
// sends the answer, so that a caller that is still sending gets to see the answer.
const lingering = time.Second

func (b *movingBody) linger() {
	if !b.ended {
		b.deadline.move(time.Now().Add(min(lingering, b.limits.Stall)))
	}
}

// movingWriter cuts off a caller that does not take its answer.
type movingWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	stall    time.Duration
	draining *atomic.Bool
}

// extend allows for the lingering that comes before the answer leaves.
func (w *movingWriter) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(w.stall + lingering)) }

// end comes after the handler: what it has written may leave only now.
func (w *movingWriter) end() {
	w.closeAfter()
	w.extend()
}

// closeAfter has the connection end with this answer while the server drains, also when that has begun since the request came.
func (w *movingWriter) closeAfter() {
	if w.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *movingWriter) WriteHeader(status int) {
	w.closeAfter()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *movingWriter) Write(p []byte) (int, error) {
	w.closeAfter()
	w.extend()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *movingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
