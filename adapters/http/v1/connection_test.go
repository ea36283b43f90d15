package v1_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/domain"
)

// listen serves the fixture's API on a real connection.
func (f *fixture) listen(limits server.Limits) (address string) {
	f.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.New(f.handler, limits, slog.New(slog.DiscardHandler)).Serve(ctx, listener) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestStalledUploadIsAnsweredAndGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) { c.Limits = v1.Limits{InFlight: 1} })
	address := f.listen(server.Limits{Stall: 200 * time.Millisecond})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"image\":\"", v1.PathCheck, f.key)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got reply
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusRequestTimeout || got.code() != "request_timeout" || !answer.Close {
		t.Errorf("%d %s, want 408 and the connection closed", answer.StatusCode, got.code())
	}
	f.want(f.check("next"), 200, "")
}

func TestClientsSeeWhyALargeBodyIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	address := f.listen(server.Limits{})
	for name, body := range map[string]io.Reader{
		"announced":   strings.NewReader(strings.Repeat("x", 20<<20)),
		"unannounced": io.LimitReader(endless{}, 20<<20),
	} {
		r, err := http.NewRequest(http.MethodPost, "http://"+address+v1.PathCheck, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", f.key)
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %s, want 413", name, answer.Status)
		}
		_ = answer.Body.Close()
	}
}

// endless is white space without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestClientsSeeThatTheirKeyIsWrong sends all of a photo before it looks for the answer, as most clients do.
func TestClientsSeeThatTheirKeyIsWrong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	conn, err := net.Dial("tcp", f.listen(server.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const size = 12 << 20
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: lc_wrong\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", v1.PathCheck, size)
	if _, err := io.Copy(conn, io.MultiReader(strings.NewReader(request), io.LimitReader(endless{}, size))); err != nil {
		t.Fatalf("the photo cannot be sent: %v", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s, want 401", answer.Status)
	}
}

// TestUploadThatEndsEarly half-closes the connection, so that the caller can still read why it was refused.
func TestUploadThatEndsEarly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	conn, err := net.Dial("tcp", f.listen(server.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"image\":\"", v1.PathCheck, f.key)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got reply
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusBadRequest || got.code() != "invalid_request" {
		t.Errorf("%d %s, want 400 invalid_request", answer.StatusCode, got.code())
	}
}

// Who finds no connection is refused in the API's own form, before the body and without waiting for it.
func TestWhoFindsNoConnectionIsRefusedInTheEnvelope(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := server.New(f.handler, server.Limits{Connections: 1, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, slog.New(slog.DiscardHandler))
	full.RefuseWith(document.Hold(t, f.api.Refusal()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- full.Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	judging, leave := make(chan struct{}), make(chan struct{})
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		close(judging)
		<-leave
		return domain.Judgement{}, nil
	})
	send := func(body string, length int) net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			v1.PathCheck, f.key, length, body)
		return conn
	}
	body := bodyOf("image")
	send(body, len(body))
	<-judging
	defer close(leave)
	answer, err := http.ReadResponse(bufio.NewReader(send("", 1<<20)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got reply
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusServiceUnavailable || got.code() != "overloaded" || got.Error.Docs != "https://api.example/docs/errors/overloaded" || !answer.Close {
		t.Errorf("%s, %+v, want 503 overloaded and the connection closed", answer.Status, got)
	}
	id := answer.Header.Get("X-Request-Id")
	if answer.Header.Get("Retry-After") != "1" || id == "" || !strings.Contains(f.logged.String(), id) {
		t.Errorf("the headers are %v, and the log says %s", answer.Header, f.logged)
	}
}
