package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pas-ta/liveness/projections"
)

// A log that was restored from an older backup than the database must not be worked with.
func TestLogOfAnotherTimeIsRefused(t *testing.T) {
	t.Parallel()
	pool := database(t)
	if err := projections.CheckLog(t.Context(), pool, 0); err != nil {
		t.Fatalf("an empty database: %v", err)
	}
	log, c := newLog(), newCustomer(t, 1)
	head := log.append(c.usageStream(epoch), c.checks(epoch, 3)...)
	stop := run(t, newEngine(t, pool, log, ledger(nil)))
	waitFor(t, pool, "ledger", head)
	stop()
	if err := projections.CheckLog(t.Context(), pool, head); err != nil {
		t.Errorf("the log that it was made from: %v", err)
	}
	if err := projections.CheckLog(t.Context(), pool, head-1); !errors.Is(err, projections.ErrOtherLog) {
		t.Errorf("an older state of the log: %v, want %v", err, projections.ErrOtherLog)
	}

	older := newLog()
	older.append(c.usageStream(epoch), log.all()[0].Event, log.all()[1].Event)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engine := newEngine(t, pool, older, ledger(nil))
	if _, err := engine.Compare(ctx, "ledger", nil); !errors.Is(err, projections.ErrOtherLog) {
		t.Errorf("compare with the older log: %v, want %v", err, projections.ErrOtherLog)
	}
	if _, err := engine.Rebuild(ctx, "ledger", nil); err != nil {
		t.Fatalf("rebuild from the older log: %v", err)
	}
	wantAll(t, pool, 2)
	if err := projections.CheckLog(t.Context(), pool, head-10); err != nil {
		t.Errorf("after the rebuild: %v", err)
	}
}
