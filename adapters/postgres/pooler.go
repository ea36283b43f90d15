package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errSharedSession is of a pooler that gives a session to somebody else after each transaction.
var errSharedSession = errors.New("the session of a connection is given to others between its transactions")

// setInSession has each connection begin with settings that poolers refuse as parameters of the start.
func setInSession(conn *pgx.ConnConfig, settings map[string]string) {
	var statements strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&statements, "set %s = '%s';", name, settings[name])
	}
	before := conn.AfterConnect
	conn.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		return conn.Exec(ctx, statements.String()).Close()
	}
}

// checkSession refuses a pooler that does not pool sessions: a lease would outlive the worker that held it, notifications would
// reach somebody else, and read models would stand still without a word.
func checkSession(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	first, err := backend(ctx, conn)
	if err != nil || first == conn.Conn().PgConn().PID() {
		return err // nobody is between us and the server
	}
	// Whoever shares sessions gives the one that was just used to the next who asks, or takes another for us while that is used.
	for range 2 {
		others, err := pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = others.Rollback(context.WithoutCancel(ctx)) }()
		taken, err := backend(ctx, others)
		if err != nil {
			return err
		}
		now, err := backend(ctx, conn)
		if err != nil {
			return err
		}
		if taken == first || now != first {
			return errSharedSession
		}
	}
	return nil
}

// backend returns the number of the server's process that answers. It prepares no statement: that is kept in the session, which may
// be another one the next time.
func backend(ctx context.Context, on interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (number uint32, err error) {
	err = on.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&number)
	return number, err
}

// poolerAdvice returns what to do about a pooler between us and the server; "" when the error is not about one.
func poolerAdvice(err error) string {
	refusal := (*pgconn.PgError)(nil)
	switch errors.As(err, &refusal); {
	case errors.Is(err, errSharedSession), refusal != nil && strings.Contains(refusal.Message, "statement pooling"):
		return "the pooler there must keep sessions (PgBouncer: pool_mode = session), or name Postgres itself"
	case refusal != nil && strings.Contains(refusal.Message, "unsupported startup parameter"):
		return "leave that parameter out of the URL, or name it in PgBouncer's ignore_startup_parameters"
	case refusal != nil && (strings.Contains(refusal.Message, "query_wait_timeout") || strings.Contains(refusal.Message, "max_client_conn")):
		return "the pooler there has no connection left: raise PgBouncer's default_pool_size and max_client_conn, or lower pool_max_conns in the URL"
	}
	return ""
}
