package main

import (
	"os"
	"testing"

	"github.com/pas-ta/liveness/inference/isolated"
)

// asLiveness makes the test binary run as the liveness program, for tests that need processes of their own.
const asLiveness = "LIVENESS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if isolated.IsWorker() {
		os.Exit(isolated.Serve(crashable))
	}
	if os.Getenv(asLiveness) != "" {
		os.Exit(runProcess(os.Args[1:]))
	}
	if os.Getenv(asNoisy) != "" {
		os.Exit(runNoisy())
	}
	os.Exit(m.Run())
}
