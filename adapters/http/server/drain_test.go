package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
)

// draining is a server whose handler says whether it drains, and that was just told to stop. It drains until the test ends.
type draining struct {
	address string
	stop    context.CancelFunc
	done    chan error
}

func startDraining(t *testing.T, drain time.Duration, handler http.HandlerFunc) *draining {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &draining{address: listener.Addr().String(), stop: cancel, done: make(chan error, 1)}
	limits := server.Limits{Drain: drain, Idle: time.Hour, Shutdown: 10 * time.Second}
	go func() { d.done <- server.New(handler, limits, slog.New(slog.DiscardHandler)).Serve(ctx, listener) }()
	t.Cleanup(cancel)
	return d
}

// saysWhetherItDrains answers 503 as soon as the server drains.
func saysWhetherItDrains(w http.ResponseWriter, r *http.Request) {
	if server.Draining(r.Context()) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// exchange sends a request on a connection, and returns the answer.
func exchange(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

// awaitDraining asks on new connections until the server says that it drains.
func (d *draining) await(t *testing.T) {
	t.Helper()
	for began := time.Now(); exchange(t, dial(t, d.address)).StatusCode != http.StatusServiceUnavailable; {
		if time.Since(began) > timeout {
			t.Fatal("the server does not drain")
		}
	}
}

// A server that is to stop answers as before, on old connections and on new ones, and each of them ends with its answer. One that is
// idle stays open.
func TestAServerThatStopsTakesLeaveOfItsConnections(t *testing.T) {
	t.Parallel()
	d := startDraining(t, time.Hour, saysWhetherItDrains)
	kept, idle := dial(t, d.address), dial(t, d.address)
	for _, conn := range []net.Conn{kept, idle} {
		if answer := exchange(t, conn); answer.StatusCode != http.StatusOK || answer.Close {
			t.Fatalf("%d, closed %t", answer.StatusCode, answer.Close)
		}
	}
	d.stop()
	d.await(t)
	for name, conn := range map[string]net.Conn{"kept": kept, "new": dial(t, d.address)} {
		if answer := exchange(t, conn); answer.StatusCode != http.StatusServiceUnavailable || !answer.Close {
			t.Errorf("a %s connection: %d, closed %t", name, answer.StatusCode, answer.Close)
		}
		wantClosed(t, conn)
	}
	if answer := exchange(t, idle); !answer.Close {
		t.Error("an idle connection was answered and is kept")
	}
}

// A request that was under way when draining began ends its connection too.
func TestAnAnswerKnowsThatDrainingHasBegunSince(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(http.ResponseWriter){
		"a status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"a body":   func(w http.ResponseWriter) { _, _ = w.Write([]byte("body")) },
		"nothing":  func(http.ResponseWriter) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, proceed := make(chan struct{}), make(chan struct{})
			d := startDraining(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					close(begun)
					<-proceed
					write(w)
					return
				}
				saysWhetherItDrains(w, r)
			})
			conn := dial(t, d.address)
			_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
			<-begun
			d.stop()
			d.await(t)
			close(proceed)
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || !answer.Close {
				t.Errorf("%+v, %v; want an answer that ends the connection", answer, err)
			}
			wantClosed(t, conn)
		})
	}
}

// Whoever has connected before the listener closes is answered: it may have sent a request that it cannot repeat.
func TestNoConnectionIsResetOnTheWayDown(t *testing.T) {
	t.Parallel()
	d := startDraining(t, time.Millisecond, saysWhetherItDrains)
	d.stop()
	var answered atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for began := time.Now(); time.Since(began) < timeout; answered.Add(1) {
				conn, err := net.Dial("tcp", d.address)
				if err != nil {
					return // refused: a proxy takes another server
				}
				if _, err := ask(conn, ""); err != nil {
					t.Errorf("after %d answers a connection was taken and then: %v", answered.Load(), err)
				}
				_ = conn.Close()
			}
			t.Error("the server still takes connections")
		})
	}
	clients.Wait()
	if err := <-d.done; err != nil {
		t.Errorf("after %d answers: %v", answered.Load(), err)
	}
}

// A listener that fails while the server drains ends it.
func TestDrainingEndsWithTheListener(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	served := server.New(http.HandlerFunc(saysWhetherItDrains), server.Limits{Drain: time.Hour}, slog.New(slog.DiscardHandler))
	go func() { done <- served.Serve(ctx, listener) }()
	cancel()
	(&draining{address: listener.Addr().String()}).await(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Log(err)
	case <-time.After(timeout):
		t.Error(errors.Join(os.ErrDeadlineExceeded, errors.New("the server drains without a listener")))
	}
}
