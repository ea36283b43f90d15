package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/http/apidocs/apidocstest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/inference/isolated"
)

// asLiveness makes the test binary run as the liveness program, for tests that need processes of their own.
const asLiveness = "LIVENESS_TEST_AS_PROGRAM"

// document is what the answers of the API that these tests ask for are held against, whichever process gives them.
var document *apidocstest.Document

func TestMain(m *testing.M) {
	if isolated.IsWorker() {
		os.Exit(isolated.Serve(crashable))
	}
	if os.Getenv(asLiveness) != "" {
		os.Exit(runProcess(os.Args[1:]))
	}
	if os.Getenv(asSignalled) != "" {
		os.Exit(runSignalled())
	}
	if os.Getenv(asNoisy) != "" {
		os.Exit(runNoisy())
	}
	os.Exit(runHeld(m))
}

// products are the whole products that run at a time, one for each processor: most other tests wait, these work.
var products = make(chan struct{}, runtime.GOMAXPROCS(0))

// withProducts are the names of the tests whose product runs.
var withProducts sync.Map

// takeProduct waits for a test's turn to run a whole product, until it ends.
func takeProduct(t *testing.T) {
	t.Helper()
	if _, taken := withProducts.LoadOrStore(t.Name(), true); taken {
		return // it is started again
	}
	products <- struct{}{}
	t.Cleanup(func() {
		withProducts.Delete(t.Name())
		<-products
	})
}

// runHeld runs the tests, which fail when an answer of the API is not what the OpenAPI document describes.
func runHeld(m *testing.M) int {
	var err error
	if document, err = apidocstest.Read(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	http.DefaultClient.Transport = document.Transport(http.DefaultTransport)
	for name, value := range map[string]string{
		"LIVENESS_AWS_ENDPOINT": "http://127.0.0.1:1", // what simulates no AWS reaches none
		"TMPDIR":                pgtest.InMemory(),    // each product makes a cluster
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	awaittest.Widen(3)
	code := m.Run()
	differences := document.Differences()
	fmt.Fprintf(os.Stdout, "%d answers were held against the OpenAPI document, with %d differences\n", document.Answers(), len(differences))
	if len(differences) > 0 {
		fmt.Fprintln(os.Stdout, strings.Join(differences[:min(len(differences), 20)], "\n"))
		return max(code, 1)
	}
	return code
}
