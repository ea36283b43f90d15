package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// holds returns whether a worker maintains a read model, as liveness projections list shows it.
func holds(worker *process, s engine.Status) bool {
	return strings.HasSuffix(s.Holder, fmt.Sprintf("process %d", worker.pid()))
}

// A worker that hangs, connected to everything, is replaced by the other, for every read model; when it goes on, nothing of what it
// had in hand is counted again.
func TestAHungWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 2)
	models, err := c.core.observeReadModels()
	if err != nil {
		t.Fatal(err)
	}
	statuses := func() []engine.Status {
		t.Helper()
		statuses, err := models.StatusesNow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return statuses
	}
	hung, other := c.workers[0], c.workers[1]
	eventually(t, "all read models being maintained", func() error {
		maintained := 0
		for _, s := range statuses() {
			if holds(c.workers[0], s) || holds(c.workers[1], s) {
				maintained++
			}
			if s.Name == "usage" && holds(c.workers[1], s) {
				hung, other = c.workers[1], c.workers[0]
			}
		}
		if maintained < len(projections.All()) {
			return errNotYet
		}
		return nil
	})
	subscription := c.subscription(t)
	c.countBefore(t, 100)
	wantCounted := func(want int64) {
		t.Helper()
		counted := c.countedChecks(t, subscription, domain.MonthOf(time.Now()))
		if modelled := c.modelledCalls(t, subscription, counted); modelled != want || int64(len(counted)) != want {
			t.Errorf("the read model counts %d calls, the log %d, want %d", modelled, len(counted), want)
		}
	}
	wantCounted(100)

	stopped := hung.awaitPID(t)
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.countBefore(t, 200)
	eventually(t, "the other worker taking over", func() error {
		for _, s := range statuses() {
			if !holds(other, s) {
				return fmt.Errorf("%s is held by %q", s.Name, s.Holder)
			}
		}
		return nil
	})
	t.Logf("replaced after %v", time.Since(began).Round(100*time.Millisecond))
	wantCounted(300)

	if err := syscall.Kill(stopped, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.countBefore(t, 100)
	wantCounted(400)
	for _, s := range statuses() {
		if !holds(other, s) {
			t.Errorf("%s is held by %q after the hung worker has gone on", s.Name, s.Holder)
		}
	}
}
