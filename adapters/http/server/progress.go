package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// progress sets the connection's deadlines as a request moves on. A single deadline for the whole request would have to
// be long enough for the slowest honest upload, and everybody could hold a connection for as long.
func (c *connections) progress(next, refuse http.Handler, limits Limits, draining *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		reading := &readDeadline{control: control}
		answer := &movingWriter{ResponseWriter: w, control: control, stall: limits.Stall, draining: draining}
		answer.extend()
		defer answer.end()
		if r.Context().Err() != nil {
			// A deadline that cut off an earlier request ends the context of its connection, and with it those of all requests to come.
			r = r.WithContext(context.WithoutCancel(r.Context()))
			w.Header().Set("Connection", "close")
		}
		ctx, end, err := c.begin(r, reading.pass)
		defer end()
		if err != nil {
			refuse.ServeHTTP(w, r)
			return
		}
		// A copy: net/http looks at the body of the original to decide what to do with an unread rest.
		moving := r.WithContext(ctx)
		if r.Body != nil && r.Body != http.NoBody {
			body := &movingBody{ReadCloser: r.Body, deadline: reading, limits: limits}
			moving.Body = body
			defer body.linger()
		}
		next.ServeHTTP(answer, moving)
	})
}

// movingBody cuts off a body that stalls or trickles, or takes too long altogether. Only the time in which somebody waits for it
// counts: what the handler does before its first read and between two is not the caller's.
type movingBody struct {
	io.ReadCloser
	deadline *readDeadline
	limits   Limits
	waited   time.Duration
	read     int64
	ended    bool
}

// allowed is for how long the next bytes may be waited for: briefly, not longer than the least rate needs, and not beyond the time of
// the upload.
func (b *movingBody) allowed() time.Duration {
	total := min(b.limits.Grace+time.Duration(b.read/b.limits.MinRate)*time.Second, b.limits.Upload)
	return min(total-b.waited, b.limits.Stall)
}

// Read implements io.Reader.
func (b *movingBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	began := time.Now()
	b.deadline.move(began.Add(b.allowed()))
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(began)
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

// piece is how much has to leave between one deadline and the next.
const piece = 64 << 10

// Write implements io.Writer. A deadline for all of p would bound the size of an answer, however steadily it is taken.
func (w *movingWriter) Write(p []byte) (int, error) {
	w.closeAfter()
	for written := 0; ; {
		w.extend()
		n, err := w.ResponseWriter.Write(p[written:min(written+piece, len(p))])
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *movingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
