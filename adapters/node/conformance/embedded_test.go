package conformance_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// embedded is a node in this process.
type embedded struct {
	address string // connection string
	stop    func()
}

// startEmbedded runs a node on a directory until the test ends or stop is called.
func startEmbedded(t *testing.T, dir string) *embedded {
	t.Helper()
	n := nodetest.Start(t, node.Config{Dir: dir})
	return &embedded{address: n.ConnectionString(), stop: func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}}
}
