// Package nodetest gives tests a node of their own, in the version line that LIVENESS_NODE_LIKE names: so that everything that
// is tested with a node can be tested in each of them.
// Nothing but tests may use it.
package nodetest

import (
	"os"
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/node"
)

// likeVariable names the version line of the nodes that tests start.
const likeVariable = "LIVENESS_NODE_LIKE"

// Main runs the tests of a package, three times as many at a time as there are processors: tests of a store that hangs, ends or is
// waited for are mostly waiting.
func Main(m *testing.M) {
	awaittest.Widen(3)
	os.Exit(m.Run())
}

// Line returns the version line that tests are to run in. An unknown one fails the test.
func Line(tb testing.TB) node.Line {
	tb.Helper()
	line, err := node.ParseLine(os.Getenv(likeVariable))
	if err != nil {
		tb.Fatalf("%s: %v", likeVariable, err)
	}
	return line
}

// Start starts a node that is closed with the test. What the configuration leaves open is a free port on loopback, a new
// directory, and the line that tests are to run in.
func Start(tb testing.TB, config node.Config) *node.Node {
	tb.Helper()
	if config.Addr == "" {
		config.Addr = awaittest.FreeAddress(tb) // where a test may start it again
	}
	if config.Dir == "" {
		config.Dir = tb.TempDir()
	}
	if config.Like == node.OwnLine {
		config.Like = Line(tb)
	}
	started, err := node.Start(tb.Context(), config)
	if err != nil {
		tb.Fatalf("start the event store node: %v", err)
	}
	tb.Cleanup(func() {
		if err := started.Close(); err != nil {
			tb.Errorf("close the event store node: %v", err)
		}
	})
	return started
}
