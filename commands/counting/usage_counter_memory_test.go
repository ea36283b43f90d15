package counting

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/memorystore"
)

// Subscriptions that nobody calls for are remembered up to a number, and then forgotten; those that are in use never.
func TestIdleSubscriptionsAreForgotten(t *testing.T) {
	t.Parallel()
	c := NewUsageCounter(memorystore.New(time.Now), nil, time.Now, slog.New(slog.DiscardHandler))
	enter := func() *batcher {
		t.Helper()
		b, err := c.enter(uuid.New())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	used := enter()
	for range maxIdleBatchers - 1 {
		b := enter()
		c.retain(b)
		c.leave(b)
		c.leave(b)
	}
	if len(c.batchers) != maxIdleBatchers {
		t.Errorf("%d subscriptions are remembered, want %d", len(c.batchers), maxIdleBatchers)
	}
	newest := enter()
	if len(c.batchers) != 2 || c.batchers[used.id] != used || c.batchers[newest.id] != newest {
		t.Errorf("%d subscriptions are remembered, want the two that are in use", len(c.batchers))
	}
	c.leave(used)
	c.leave(newest)
	c.Close()
}
