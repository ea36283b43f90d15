package server

import (
	"bytes"
	"net"
	"net/http"
)

// strictTransport tells browsers to reach this host, and those below its name, by TLS alone for a year.
const strictTransport = "max-age=31536000; includeSubDomains"

// StrictTransport has every answer, refusals too, tell browsers to come by TLS alone: the first request that a browser sends
// without it is the one that others can read and answer. It is for sites that are reached by https, and called before Serve.
func (s *Server) StrictTransport() {
	s.strict = true
	next := s.http.Handler
	s.http.DisableGeneralOptionsHandler = true // which answers "OPTIONS *" past the handler
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sayStrictTransport(w.Header())
		if r.Method == http.MethodOptions && r.RequestURI == "*" {
			return
		}
		next.ServeHTTP(w, r)
	})
	s.listener = func(l net.Listener) net.Listener { return strictListener{l} }
}

func sayStrictTransport(header http.Header) { header.Set("Strict-Transport-Security", strictTransport) }

// strictListener has the answers that net/http writes without a handler say it as well.
type strictListener struct{ net.Listener }

// Accept implements net.Listener.
func (l strictListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return strictConn{conn}, nil
}

// strictConn adds the header to what net/http says of requests that it cannot read.
type strictConn struct{ net.Conn }

// Write implements net.Conn. Net/http writes such an answer whole, and ends the connection after it.
func (c strictConn) Write(p []byte) (int, error) {
	at := endOfOwnStatus(p)
	if at < 0 {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(bytes.Join([][]byte{p[:at], []byte("Strict-Transport-Security: " + strictTransport + "\r\n"), p[at:]}, nil)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite lets a caller that is still sending read the answer: net/http half-closes connections that can be.
func (c strictConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ownHeaders are those of all answers that net/http writes by itself, but for one.
const ownHeaders = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// endOfOwnStatus returns where the headers begin of an answer that no handler has made; -1 when p is none.
func endOfOwnStatus(p []byte) int {
	const version = "HTTP/1.1 "
	if len(p) <= len(version) || p[len(version)] != '4' && p[len(version)] != '5' || !bytes.HasPrefix(p, []byte(version)) {
		return -1
	}
	status, headers, found := bytes.Cut(p, []byte("\r\n"))
	unexpected := bytes.Equal(status, []byte("HTTP/1.1 417 Expectation Failed"))
	if !found || !unexpected && !bytes.HasPrefix(headers, []byte(ownHeaders)) {
		return -1
	}
	return len(p) - len(headers)
}
