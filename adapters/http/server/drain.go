package server

import (
	"context"
	"net"
	"time"
)

// settling is how long connections that were under way when new ones began to be refused are waited for, and how long idle ones
// stay open after that: a proxy that is refused sends nothing more, also not on what it keeps open.
const settling = time.Second

type drainingKey struct{}

// Draining returns whether the server that a request came to is on its way down.
func Draining(ctx context.Context) bool {
	s, ok := ctx.Value(drainingKey{}).(*Server)
	return ok && s.draining.Load()
}

// leave takes leave of the proxies in front: the server goes on listening for Limits.Drain, says that it is not ready, and ends each
// connection with the answer to its next request. It returns early when serving has ended.
func (s *Server) leave(listener net.Listener, done <-chan struct{}) {
	s.draining.Store(true)
	if s.limits.Drain <= 0 {
		return
	}
	s.log.Info("draining: not ready, connections end with their next answer", "for", s.limits.Drain)
	if !pause(s.limits.Drain, done) {
		return
	}
	if err := refuseNew(listener); err != nil {
		s.log.Debug("connections that come while the listener is closed are reset", "error", err)
	}
	pause(settling, done)
}

// pause waits, and returns false when done came first.
func pause(wait time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
