// Package awssimtest gives tests an AWS to call: the simulator, behind an address of its own.
package awssimtest

import (
	"net/http/httptest"
	"testing"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// Serve returns a simulator and the URL at which it is called until the test ends.
func Serve(tb testing.TB, cfg awssim.Config) (sim *awssim.Sim, url string) {
	tb.Helper()
	sim, err := awssim.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	tb.Cleanup(func() {
		if err := sim.Close(); err != nil { // before the server, which waits for the requests that this ends
			tb.Error(err)
		}
		server.Close()
	})
	return sim, server.URL
}
