package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// A log that was restored from an older backup and has grown beyond the checkpoint since is refused all the same, until the read
// model is made anew from it.
func TestLogThatHasGrownAgainIsRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	checks := c.Checks(memorylog.Epoch, 5)
	last := log.Append(c.UsageStream(memorylog.Epoch), checks...)
	stop := projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil)))
	projectionstest.WaitFor(t, pool, "ledger", last)
	stop()

	other, grown := projectionstest.NewCustomer(t, 2), memorylog.New()
	grown.Append(c.UsageStream(memorylog.Epoch), checks[:2]...)
	grown.Append(other.UsageStream(memorylog.Epoch), other.Checks(memorylog.Epoch, 80)...)
	if err := engine.CheckLog(t.Context(), pool, grown); !errors.Is(err, engine.ErrOtherLog) {
		t.Errorf("check = %v, want %v", err, engine.ErrOtherLog)
	}
	e := projectionstest.NewEngine(t, pool, grown, ledger(nil))
	stop = projectionstest.Run(t, e)
	projectionstest.Eventually(t, "the read model says why it does not follow", func() bool {
		s := projectionstest.Status(t, e, "ledger")
		return s.State == engine.StateFailing && strings.Contains(s.Error, "liveness projections rebuild ledger")
	})
	stop()
	wantAll(t, pool, 5)
	if _, err := e.Rebuild(t.Context(), "ledger", nil); err != nil {
		t.Fatalf("rebuild from the log at hand: %v", err)
	}
	if err := engine.CheckLog(t.Context(), pool, grown); err != nil {
		t.Errorf("check after the rebuild: %v", err)
	}
	if n := len(entries(t, pool)); n != 82 {
		t.Errorf("the ledger has %d entries, want 82", n)
	}
}

// Of a checkpoint that covers events of others behind the last of its own, only the part that this log is known to have is
// believed: what an older log has there by now is not passed over.
func TestPlaceBehindTheLastKnownEventIsNotBelieved(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	checks := c.Checks(memorylog.Epoch, 4)
	log.Append(c.UsageStream(memorylog.Epoch), checks[:2]...)
	logins := domain.LoginsStream(c.ID)
	end := log.Append(logins, domain.LoginSucceeded{CustomerID: c.ID, At: time.Unix(1, 0)}, domain.LoginSucceeded{CustomerID: c.ID, At: time.Unix(2, 0)})
	e := projectionstest.NewEngine(t, pool, log, ledger(nil))
	stop := projectionstest.Run(t, e)
	projectionstest.Eventually(t, "the place of the last event", func() bool { return projectionstest.Status(t, e, "ledger").Position == end })
	stop()

	older := memorylog.New() // a backup from before the logins
	older.Append(c.UsageStream(memorylog.Epoch), checks...)
	older.Append(logins, domain.LoginSucceeded{CustomerID: c.ID, At: time.Unix(3, 0)})
	if err := engine.CheckLog(t.Context(), pool, older); err != nil {
		t.Errorf("nothing that a read model shows is missing in it: %v", err)
	}
	e = projectionstest.NewEngine(t, pool, older, ledger(nil))
	projectionstest.Run(t, e)
	projectionstest.Eventually(t, "being live", func() bool { return projectionstest.Status(t, e, "ledger").CaughtUp() })
	wantAll(t, pool, 4)
}

// A read model that has taken in nothing takes everything of another log, and not only what is behind its place.
func TestPlaceOfNobodysEventsIsNotBelieved(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	keys := engine.Projection{
		Name: "keys", Version: 1, Tables: "create table entries (position bigint primary key)", Events: []string{domain.KeyIssued{}.EventType()},
		Apply: func(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
			for _, r := range batch {
				if _, err := tx.Exec(ctx, "insert into entries values ($1)", r.Position); err != nil {
					return err
				}
			}
			return nil
		},
	}
	end := log.Append(c.UsageStream(memorylog.Epoch), c.Checks(memorylog.Epoch, 3)...)
	stop := projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, ledger(nil), keys))
	for _, name := range []string{"ledger", "keys"} {
		projectionstest.WaitFor(t, pool, name, end)
	}
	stop()

	other := memorylog.New()
	other.Append(domain.APIKeysStream(c.ID), c.Issued(domain.SlotPrimary, "a"), c.Issued(domain.SlotSecondary, "b"), c.Issued(domain.SlotPrimary, "c"))
	if err := engine.CheckLog(t.Context(), pool, other); !errors.Is(err, engine.ErrOtherLog) || !strings.Contains(err.Error(), "ledger") {
		t.Errorf("check = %v, want that the ledger is of another log", err)
	}
	projectionstest.Run(t, projectionstest.NewEngine(t, pool, other, ledger(nil), keys))
	projectionstest.Eventually(t, "all three keys of that log", func() bool {
		var n int
		err := pool.QueryRow(t.Context(), "select count(*) from keys.entries").Scan(&n)
		return err == nil && n == 3
	})
}
