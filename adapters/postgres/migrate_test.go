package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/pgxstore"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// TestMigrateAtOnce: nodes that start together migrate once, and a later start changes nothing.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	var nodes sync.WaitGroup
	for range 6 {
		pool := pgtest.Connect(t, address)
		nodes.Go(func() {
			if err := postgres.Migrate(t.Context(), pool); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	pool := pgtest.Connect(t, address)
	if _, err := pool.Exec(t.Context(), "insert into projection_checkpoints (name, version) values ('kept', 1)"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	var kept int
	if err := pool.QueryRow(t.Context(), "select count(*) from projection_checkpoints").Scan(&kept); err != nil || kept != 1 {
		t.Errorf("%d rows are kept, %v", kept, err)
	}
}

// TestMigrateLeavesNewerDatabases: an older program starts on a database that a newer one has migrated.
func TestMigrateLeavesNewerDatabases(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	if _, err := pool.Exec(t.Context(), "update schema_version set version = version + 7"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Error(err)
	}
}

// TestSessions: the sessions table is the one that the session library expects.
func TestSessions(t *testing.T) {
	t.Parallel()
	sessions := pgxstore.NewWithCleanupInterval(pgtest.Pool(t), 0)
	if err := sessions.Commit("token", []byte("data"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if data, found, err := sessions.Find("token"); err != nil || !found || string(data) != "data" {
		t.Errorf("Find = %s, %v, %v", data, found, err)
	}
}
