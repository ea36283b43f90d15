package projections_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// database returns a migrated database of the test's own.
func database(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	url := pgtest.Clone(tb, "migrated", func(ctx context.Context, url string) error {
		pool, err := postgres.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		return postgres.Migrate(ctx, pool)
	})
	return connect(tb, url)
}

func connect(tb testing.TB, url string) *pgxpool.Pool {
	tb.Helper()
	pool, err := postgres.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}
