package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// migrated returns a migrated database of the test's own.
func migrated(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return connect(t, pgtest.Clone(t, "migrated", func(ctx context.Context, url string) error {
		pool, err := postgres.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		return postgres.Migrate(ctx, pool)
	}))
}
