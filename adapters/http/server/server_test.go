package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
)

// quick limits let a test see a connection cut off without waiting long. Who is not to be cut off by them is in a bubble, or has
// nothing left to do in time: on a busy machine a client may not get to write for longer than that.
var quick = server.Limits{
	Idle: 300 * time.Millisecond, Stall: 300 * time.Millisecond,
	Grace: 400 * time.Millisecond, MinRate: 1 << 20, Shutdown: 10 * time.Second,
}

// timeout is when a test gives up on what should have happened.
const timeout = time.Minute

// start serves a handler and gives its address and what stops it and tells how that went.
func start(t *testing.T, limits server.Limits, handler http.HandlerFunc) (address string, stop func() error) {
	t.Helper()
	return startOn(t, "127.0.0.1", limits, handler)
}

func startOn(t *testing.T, ip string, limits server.Limits, handler http.HandlerFunc) (address string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.New(handler, limits, slog.New(slog.DiscardHandler)).Serve(ctx, listener) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return listener.Addr().String(), stop
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readAll tells what a handler saw of its body.
func readAll(seen chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		seen <- err
		if err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	}
}

// wantClosed fails when the server leaves the connection open.
func wantClosed(t *testing.T, conn net.Conn) string {
	t.Helper()
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection is still open after %v; so far %q", timeout, answer)
	}
	return string(answer)
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := serve(t, quick, func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") })
		began := time.Now()
		for i := 0; ; i++ { // one header line at a time, each well within any time-out of its own
			if _, err := fmt.Fprintf(conn, "%s\r\n", map[bool]string{true: "POST / HTTP/1.1", false: fmt.Sprintf("X-%d: slow", i)}[i == 0]); err != nil {
				break
			}
			if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				break // a pipe whose other end is closed takes no deadline
			}
			if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if time.Since(began) > timeout {
				t.Fatal("the connection is still open")
			}
		}
	})
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	address, _ := start(t, server.Limits{}, func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") })
	conn := dial(t, address)
	go func() {
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Huge: %s\r\n\r\n", strings.Repeat("x", 100<<10))
	}()
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(answer, "431") {
		t.Errorf("%q, %v; want 431", answer, err)
	}
}

func TestStalledBodyIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan error, 1)
		conn := serve(t, quick, readAll(seen))
		_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nthe beginning")
		if err := <-seen; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the handler sees %v, want a deadline", err)
		}
		if answer := wantClosed(t, conn); !strings.HasPrefix(answer, "HTTP/1.1 408") {
			t.Errorf("answer %q, want the handler's 408", answer)
		}
	})
}

func TestTricklingBodyIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan error, 1)
		conn := serve(t, quick, readAll(seen))
		_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
		ticker := time.NewTicker(50 * time.Millisecond) // never stalls, and never gets anywhere
		defer ticker.Stop()
		for {
			select {
			case err := <-seen:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the handler sees %v, want a deadline", err)
				}
				wantClosed(t, conn)
				return
			case <-ticker.C:
				_, _ = conn.Write([]byte("x"))
			}
		}
	})
}

func TestSteadyBodyMayTakeLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := quick
		limits.MinRate = 100
		seen := make(chan error, 1)
		conn := serve(t, limits, readAll(seen))
		const parts = 20
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", parts*1000)
		ticker := time.NewTicker(50 * time.Millisecond) // a second in all, several times what a stall may take
		defer ticker.Stop()
		for range parts {
			<-ticker.C
			if _, err := conn.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-seen; err != nil {
			t.Errorf("the handler sees %v", err)
		}
	})
}

func TestUnreadBodyDoesNotHoldTheConnection(t *testing.T) {
	t.Parallel()
	address, _ := start(t, quick, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	conn := dial(t, address)
	_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nand no more")
	if answer := wantClosed(t, conn); !strings.HasPrefix(answer, "HTTP/1.1 401") {
		t.Errorf("answer %q, want the handler's 401", answer)
	}
}

func TestContinueIsNotSentForAnUnreadBody(t *testing.T) {
	t.Parallel()
	address, _ := start(t, quick, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	conn := dial(t, address)
	_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
	if answer := wantClosed(t, conn); !strings.HasPrefix(answer, "HTTP/1.1 401") {
		t.Errorf("answer %q, want 401 at once", answer)
	}
}

func TestSlowHandlerKeepsItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := serve(t, quick, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
				ended <- r.Context().Err()
			case <-time.After(3 * quick.Stall): // the work; a deadline left over from the body would end it
				ended <- nil
			}
		})
		_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		if err := <-ended; err != nil {
			t.Errorf("the context of a waiting caller has ended: %v", err)
		}
		if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(answer, "200") {
			t.Errorf("%q, %v; want 200", answer, err)
		}
	})
}

func TestUntakenAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	address, _ := start(t, quick, func(w http.ResponseWriter, _ *http.Request) {
		for part := make([]byte, 1<<20); ; {
			if _, err := w.Write(part); err != nil {
				failed <- err
				return
			}
		}
	})
	conn := dial(t, address)
	_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the handler sees %v, want a deadline", err)
		}
	case <-time.After(timeout):
		t.Error("the handler still writes to a caller that takes nothing")
	}
}

func TestConnectionServesAgainAfterAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := quick
		limits.Idle = timeout
		conn := serve(t, limits, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
		})
		reader := bufio.NewReader(conn)
		for range 2 {
			_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
			answer, err := http.ReadResponse(reader, nil)
			if err != nil || answer.StatusCode != http.StatusNoContent {
				t.Fatalf("%v, %v; want 204", answer, err)
			}
			<-time.After(2 * quick.Stall) // a pause between requests, longer than any deadline of the first
		}
	})
}

func TestRequestsUnderWayAreAnsweredOnTheWayDown(t *testing.T) {
	t.Parallel()
	begun, proceed := make(chan struct{}), make(chan struct{})
	address, stop := start(t, quick, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-proceed
		if r.Context().Err() != nil {
			t.Error("the request's context has ended")
		}
		w.WriteHeader(http.StatusNoContent)
	})
	conn := dial(t, address)
	_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	for { // until nothing listens any more
		late, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = late.Close()
	}
	close(proceed)
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != http.StatusNoContent {
		t.Errorf("%v, %v; want 204", answer, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	limits := server.Limits{Shutdown: 50 * time.Millisecond}
	begun := make(chan struct{})
	address, stop := start(t, limits, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done() // ends when the connection is cut
	})
	conn := dial(t, address)
	_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("stop: %v, want that requests were cut off", err)
	}
}

// failingListener accepts until it is told to fail.
type failingListener struct {
	net.Listener
	fail <-chan struct{}
}

var errListening = errors.New("listening fails")

// Accept implements net.Listener.
func (l failingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	select {
	case <-l.fail:
		return nil, errors.Join(errListening, err, conn.Close())
	default:
		return conn, err
	}
}

// What is under way when listening fails is answered before the server ends with that error.
func TestListeningFails(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fail, under := make(chan struct{}), make(chan struct{})
	s := server.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(under)
		for !server.Draining(r.Context()) {
			<-time.After(time.Millisecond)
		}
		_, _ = io.WriteString(w, "answered")
	}), server.Limits{}, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), failingListener{inner, fail}) }()
	conn := dial(t, inner.Addr().String())
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-under
	close(fail)
	dial(t, inner.Addr().String())
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "answered") {
		t.Errorf("what was under way: %q, %v", answer, err)
	}
	if err := <-ended; !errors.Is(err, errListening) {
		t.Errorf("the server ended with %v", err)
	}
}
