package server_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
)

// serve serves a handler on a pipe and gives its other end. It is for bubbles of synctest, whose clock moves only while everything
// waits: there no limit passes because the machine is busy, and none is waited for.
func serve(t *testing.T, limits server.Limits, handler http.HandlerFunc) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- server.New(handler, limits, slog.New(slog.DiscardHandler)).Serve(ctx, &onePipe{conn: theirs, closed: make(chan struct{})})
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := ours.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	return ours
}

// onePipe is a listener with one connection.
type onePipe struct {
	conn   net.Conn
	closed chan struct{}
	close  sync.Once
}

// Accept implements net.Listener.
func (p *onePipe) Accept() (conn net.Conn, err error) {
	if conn, p.conn = p.conn, nil; conn == nil {
		<-p.closed
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close implements net.Listener.
func (p *onePipe) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *onePipe) Addr() net.Addr { return &net.TCPAddr{} }
