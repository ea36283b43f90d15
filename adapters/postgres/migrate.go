package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// versionTable holds the number of the last migration that was run.
const versionTable = "public.schema_version"

// Migrate brings the tables that exist once up to date; those of the read models belong to package projections. Any
// number of nodes may call it at the same time: one migrates, the others wait for it. A database that a newer program has
// migrated is left as it is, because migrations only ever add.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate Postgres: %w", err)
	}
	defer conn.Release()
	migrator, err := migrate.NewMigrator(ctx, conn.Conn(), versionTable)
	if err != nil {
		return fmt.Errorf("migrate Postgres: prepare %s: %w", versionTable, err)
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	current, err := migrator.GetCurrentVersion(ctx)
	if err != nil {
		return fmt.Errorf("migrate Postgres: read %s: %w", versionTable, err)
	}
	if int(current) >= len(migrator.Migrations) {
		return nil
	}
	// The migrator resets what was set in the session.
	defer func() { _ = conn.Conn().Close(context.WithoutCancel(ctx)) }()
	if err := migrator.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate Postgres: %w", err)
	}
	return nil
}
