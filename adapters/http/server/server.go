// Package server runs an HTTP server that callers cannot wear down: headers, bodies and answers that do not move are cut
// off, idle connections are closed, connections are divided fairly, and on the way down requests under way are answered.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
)

// Limits bounds what a connection may take. A field that is zero gets its default.
type Limits struct {
	ReadHeader     time.Duration // from a request's first byte to the end of its headers; 5 s
	Idle           time.Duration // between two requests on one connection; 75 s, past the 60 s after which proxies let go of theirs
	MaxHeaderBytes int           // 16 KiB
	Stall          time.Duration // without one byte of the body, or without 64 KiB of the answer taken; 10 s
	Grace          time.Duration // in which a body may be slower than MinRate; 10 s
	MinRate        int64         // least average of a body after that, in bytes per second; 16 KiB/s
	Upload         time.Duration // for a whole body, however fast it is; 2 min
	Drain          time.Duration // in which a server that is to stop goes on listening; none
	Shutdown       time.Duration // for requests under way after that; 30 s

	Connections    int            // open at the same time; 4096. See TrustedProxies
	StrangerWeight float64        // of all connections without a valid key together, beside a subscription's; 1
	TrustedProxies []netip.Prefix // whose connections are not counted, but the requests that come through them, for X-Forwarded-For
}

func (l Limits) withDefaults() Limits {
	return Limits{
		ReadHeader: cmp.Or(l.ReadHeader, 5*time.Second), Idle: cmp.Or(l.Idle, 75*time.Second),
		MaxHeaderBytes: cmp.Or(l.MaxHeaderBytes, 16<<10), Stall: cmp.Or(l.Stall, 10*time.Second),
		Grace: cmp.Or(l.Grace, 10*time.Second), MinRate: cmp.Or(l.MinRate, 16<<10), Upload: cmp.Or(l.Upload, 2*time.Minute),
		Drain: l.Drain, Shutdown: cmp.Or(l.Shutdown, 30*time.Second), Connections: cmp.Or(l.Connections, 4096),
		StrangerWeight: cmp.Or(l.StrangerWeight, 1), TrustedProxies: l.TrustedProxies,
	}
}

// Server serves a handler within limits.
type Server struct {
	http        *http.Server
	listener    func(net.Listener) net.Listener // wraps the one that is served
	limits      Limits
	connections *connections
	refusal     http.Handler // answers who finds no room
	strict      bool         // as StrictTransport says
	draining    atomic.Bool
	log         *slog.Logger
}

// New returns a server that does not listen yet.
func New(handler http.Handler, limits Limits, log *slog.Logger) *Server {
	limits = limits.withDefaults()
	held := &connections{
		pool:    fairshare.NewPool(int64(limits.Connections), fairshare.LeastRecentFirst),
		proxies: limits.TrustedProxies, weight: limits.StrangerWeight, seen: &oneAddress{log: log, now: time.Now},
	}
	asIs := func(l net.Listener) net.Listener { return l }
	s := &Server{limits: limits, connections: held, listener: asIs, refusal: Refusal, log: log}
	s.http = &http.Server{
		Handler:           held.progress(handler, http.HandlerFunc(s.refuse), limits, &s.draining),
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), drainingKey{}, s) },
		ReadHeaderTimeout: limits.ReadHeader,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    limits.MaxHeaderBytes,
		ConnContext:       held.accept,
		ConnState:         held.follow,
		ErrorLog:          stdlog.New(complaints{log}, "", 0),
	}
	return s
}

// Connections returns how the server's connections are divided.
func (s *Server) Connections() *fairshare.Pool { return s.connections.pool }

// Serve answers on the listener until ctx ends; then it drains, stops listening, waits for the requests under way and returns
// nil. Where listening fails it waits for them as well. What is not done in time is cut off, which is an error. It may be called once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = s.http.Serve(s.listener(&handleListener{Listener: listener, refuse: s.refuse, log: s.log}))
	}()
	select {
	case <-done:
		s.draining.Store(true)
	case <-ctx.Done():
		s.leave(listener, done)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Shutdown)
	defer cancel()
	err := s.http.Shutdown(stopping)
	if err != nil {
		err = fmt.Errorf("stop HTTP on %s: requests were cut off: %w", listener.Addr(), errors.Join(err, s.http.Close()))
	}
	<-done
	if !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), failed), err)
	}
	return err
}
