package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/server"
)

// startStrict serves a site that is reached by https.
func startStrict(t *testing.T, limits server.Limits, handler http.HandlerFunc) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := server.New(handler, limits, slog.New(slog.DiscardHandler))
	s.StrictTransport()
	go func() { done <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// Every answer says that the site is reached by TLS alone, those too that net/http gives by itself.
func TestEveryAnswerSaysStrictTransport(t *testing.T) {
	t.Parallel()
	address := startStrict(t, server.Limits{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			http.Error(w, "HTTP/1.1 404 Not Found\r\n", http.StatusForbidden)
		}
	})
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"answered":                         {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		"refused":                          {"GET /refused HTTP/1.1\r\nHost: x\r\n\r\n", 403},
		"for all of the server":            {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		"no HTTP":                          {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400},
		"a malformed header":               {"GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n", 400},
		"a space in a header's name":       {"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400},
		"no host":                          {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                        {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
		"a malformed host":                 {"GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400},
		"two lengths":                      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		"a length that is none":            {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
		"an encoding that is not known":    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		"headers that are too large":       {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", 431},
		"a version of the future":          {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505},
		"HTTP/2 without being asked":       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 200},
		"an expectation that is not known": {"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, address)
			go func() { _, _ = io.WriteString(conn, c.request) }()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != c.status {
				t.Errorf("answered %s %q, %v; want %d", answer.Status, body, err, c.status)
			}
			if got := answer.Header.Values("Strict-Transport-Security"); len(got) != 1 || got[0] != "max-age=31536000; includeSubDomains" {
				t.Errorf("Strict-Transport-Security: %q", got)
			}
		})
	}
}

// A server that has no connection left says it too.
func TestAFullServerSaysStrictTransport(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}
	address := startStrict(t, server.Limits{Connections: 1, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, handler)
	defer close(leave)
	ask := func() net.Conn {
		conn := dial(t, address)
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	ask()
	<-entered
	answer, err := http.ReadResponse(bufio.NewReader(ask()), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("answered %s, %v", answer.Status, answer.Header)
	}
}

// What a handler writes is passed on as it is, whatever it looks like.
func TestBodiesAreLeftAlone(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n", 1000)
	address := startStrict(t, server.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		for part := range strings.SplitAfterSeq(body, "\r\n\r\n") {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
		}
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got, err := io.ReadAll(answer.Body); err != nil || string(got) != body {
		t.Errorf("%d bytes arrived of %d, %v", len(got), len(body), err)
	}
}
