package textsearch

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tables searches every row of every table of a database, as a dump would write them, and returns how many tables that were.
func (s *Search) Tables(ctx context.Context, pool *pgxpool.Pool) (found []Found, tables int, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("search the database: %w", err)
	}
	defer conn.Release()
	rows, _ := conn.Query(ctx, `
		select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by schemaname, tablename`)
	names, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (name pgx.Identifier, err error) {
		name = make(pgx.Identifier, 2)
		return name, row.Scan(&name[0], &name[1])
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list the tables: %w", err)
	}
	for _, name := range names {
		reader, writer := io.Pipe()
		copied := make(chan error, 1)
		go func() {
			_, err := conn.Conn().PgConn().CopyTo(ctx, writer, "copy "+name.Sanitize()+" to stdout")
			copied <- err
			writer.CloseWithError(err) // nil is the end
		}()
		here, err := s.Stream(reader, "table "+name.Sanitize())
		reader.Close()
		if failed := <-copied; failed != nil {
			err = failed
		}
		if err != nil {
			return found, tables, fmt.Errorf("search table %s: %w", name.Sanitize(), err)
		}
		found, tables = append(found, here...), tables+1
	}
	return found, tables, nil
}
