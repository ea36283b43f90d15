package conformance_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/node"
)

// embedded is a node in this process.
type embedded struct {
	address string // connection string
	stop    func()
}

// startEmbedded runs a node on a directory until the test ends or stop is called.
func startEmbedded(t *testing.T, dir string) *embedded {
	t.Helper()
	n, err := node.Start(t.Context(), node.Config{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	e := &embedded{address: n.ConnectionString()}
	e.stop = func() {
		e.stop = func() {}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { e.stop() })
	return e
}
