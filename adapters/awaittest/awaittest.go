// Package awaittest lets tests wait for what other processes and goroutines do: for a condition, never for a time.
package awaittest

import (
	"context"
	"net"
	"testing"
	"time"
)

// Until waits until something holds, for a minute at most.
func Until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); !holds(); <-again.C {
		if time.Since(began) > time.Minute {
			tb.Fatalf("waited a minute for %s", what)
		}
	}
}

// Reachable returns whether something accepts connections at an address.
func Reachable(address string) bool {
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}
