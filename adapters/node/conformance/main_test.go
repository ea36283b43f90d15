package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/pas-ta/liveness/adapters/node"
)

// nodeDir makes this binary a node on that directory instead of running tests, for TestCrash to kill.
const nodeDir = "LIVENESS_CONFORMANCE_NODE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(nodeDir); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve runs a node until standard input ends, and prints where it listens.
func serve(dir string) error {
	like, err := node.ParseLine(os.Getenv("LIVENESS_NODE_LIKE"))
	if err != nil {
		return err
	}
	n, err := node.Start(context.Background(), node.Config{Addr: "127.0.0.1:0", Dir: dir, Like: like})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(os.Stdout, n.ConnectionString()); err != nil {
		return errors.Join(err, n.Close())
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return n.Close()
}
