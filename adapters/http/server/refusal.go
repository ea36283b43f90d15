package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Refusal tells people that there is no room for them. It is what a server answers unless RefuseWith says otherwise.
var Refusal http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "Too many connections. Try again as Retry-After says.", http.StatusServiceUnavailable)
})

// RefuseWith has a handler answer whoever finds no room, whatever is asked. It is given no body, and where not even the request could be
// read, one without a method. It is called before Serve.
func (s *Server) RefuseWith(handler http.Handler) { s.refusal = handler }

// refuse answers in the place of the handler.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	if s.strict {
		sayStrictTransport(w.Header())
	}
	w.Header().Set("Connection", "close")
	unread := r.WithContext(r.Context())
	unread.Body, unread.ContentLength = http.NoBody, 0
	s.refusal.ServeHTTP(w, unread)
}

// rawAnswer is an answer that goes out past net/http.
type rawAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *rawAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *rawAnswer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *rawAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

// send writes the answer, the last on its connection.
func (a *rawAnswer) send(conn net.Conn) error {
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	answer := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Close: true,
	}
	whole := bufio.NewWriter(conn)
	return errors.Join(answer.Write(whole), whole.Flush())
}
