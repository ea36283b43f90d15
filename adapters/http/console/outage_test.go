package console_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands/memorystore"
)

// A log that is away takes no screen from people that is made of read models alone, and lets no stranger in.
func TestScreensWithoutTheLog(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Used(3)
	eve, customer := w.Stranger("eve@example.net"), b.Session("").Customer
	w.Settled()
	w.Store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	for _, screen := range []string{"session", "overview", "usage", "cost", "checks", "failures", "traffic", "keys", "plan", "activity", "people"} {
		if got := b.Get("/console/api/" + screen); got.Status != 200 {
			t.Errorf("%s answers %d: %.200s", screen, got.Status, got.Body)
		}
	}
	if got := eve.Get("/console/api/usage?customer=" + customer); got.Status != 503 { // or somebody who has joined moments ago
		t.Errorf("a stranger's usage answers %d: %.200s", got.Status, got.Body)
	}
}
