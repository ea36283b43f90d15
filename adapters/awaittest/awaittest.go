// Package awaittest lets tests wait for what other processes and goroutines do: for a condition, never for a time, and many at once.
package awaittest

import (
	"context"
	"flag"
	"net"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// Widen has so many times as many tests of a package run at a time as there are processors, unless the command line says how many.
// Tests that mostly wait, for other processes or for a limit to pass, would keep a processor idle that the next package waits for.
// What they start has to fit a small machine with another package beside: three times suit nodes and databases, twice a browser's
// pages. It is for TestMain, before the tests run.
func Widen(times int) {
	flag.Parse()
	const parallel = "test.parallel"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == parallel })
	if given {
		return
	}
	if err := flag.Set(parallel, strconv.Itoa(times*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
}

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
