// Package server runs an HTTP server that callers cannot wear down: headers, bodies and answers that do not move are cut
// off, idle connections are closed, and on the way down requests under way are answered.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bounds what a connection may take. A field that is zero gets its default.
type Limits struct {
	ReadHeader     time.Duration // from a request's first byte to the end of its headers; 5 s
	Idle           time.Duration // between two requests on one connection; 60 s
	MaxHeaderBytes int           // 16 KiB
	Stall          time.Duration // without one byte of the body, or without one byte of the answer taken; 10 s
	Grace          time.Duration // in which a body may be slower than MinRate; 10 s
	MinRate        int64         // least average of a body after that, in bytes per second; 16 KiB/s
	Shutdown       time.Duration // for requests under way when the server stops; 30 s
}

func (l Limits) withDefaults() Limits {
	return Limits{
		ReadHeader: cmp.Or(l.ReadHeader, 5*time.Second), Idle: cmp.Or(l.Idle, time.Minute),
		MaxHeaderBytes: cmp.Or(l.MaxHeaderBytes, 16<<10), Stall: cmp.Or(l.Stall, 10*time.Second),
		Grace: cmp.Or(l.Grace, 10*time.Second), MinRate: cmp.Or(l.MinRate, 16<<10), Shutdown: cmp.Or(l.Shutdown, 30*time.Second),
	}
}

// Server serves a handler within limits.
type Server struct {
	http   *http.Server
	limits Limits
}

// New returns a server that does not listen yet.
func New(handler http.Handler, limits Limits, log *slog.Logger) *Server {
	limits = limits.withDefaults()
	return &Server{limits: limits, http: &http.Server{
		Handler:           progress(handler, limits),
		ReadHeaderTimeout: limits.ReadHeader,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    limits.MaxHeaderBytes,
		// What net/http reports is mostly the noise of scanners that speak no HTTP.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// Serve answers on the listener until ctx ends; then it stops listening, waits for the requests under way and returns
// nil. What is not done in time is cut off, which is an error. It may be called once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = s.http.Serve(listener)
	}()
	select {
	case <-done:
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), failed)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Shutdown)
	defer cancel()
	err := s.http.Shutdown(stopping)
	if err != nil {
		err = fmt.Errorf("stop HTTP on %s: requests were cut off: %w", listener.Addr(), errors.Join(err, s.http.Close()))
	}
	<-done
	return err
}
