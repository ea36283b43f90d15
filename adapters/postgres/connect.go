// Package postgres is everything about Postgres that is not a read model: the pool, the migrations of the tables that
// exist once, and the vault that seals personal data. Only what cannot be rebuilt
// from the log, or needs no rebuilding, has a table here.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// oldestServer is the first version with hash_record_extended, which comparing read models needs.
const oldestServer = 140000

// Bounds of a pool whose URL does not set its own (pool_max_conns, connect_timeout, …).
const (
	maxConnections   = 16
	leastConnections = 4 // rebuilding a read model holds three at once
	connectTimeout   = 5 * time.Second
)

// Connect opens a pool to the database at url, a postgres:// URL or a keyword/value string, and checks that the server
// answers and is new enough. The caller closes the pool. Errors name the server and never the password.
func Connect(ctx context.Context, url string) (*pgxpool.Pool, error) {
	return connect(ctx, url, func(*pgx.ConnConfig) {})
}

// ConnectToRead opens a pool like Connect whose transactions may not write, unless one says that it does. They may be idle:
// who compares with a log waits for the log.
func ConnectToRead(ctx context.Context, url string) (*pgxpool.Pool, error) {
	return connect(ctx, url, func(conn *pgx.ConnConfig) {
		setInSession(conn, map[string]string{"default_transaction_read_only": "on", "idle_in_transaction_session_timeout": "0"})
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary // a standby has no tables of sessions
	})
}

// CheckURL returns what is wrong with a URL, nil when it can be read.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

func parseURL(url string) (*pgxpool.Config, error) {
	if url == "" {
		return nil, errors.New("no Postgres is configured: give its URL, for example postgres://user:password@host:5432/liveness")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the Postgres URL: %w", err)
	}
	applyDefaults(config)
	if config.MaxConns < leastConnections {
		return nil, fmt.Errorf("pool_max_conns is %d in the Postgres URL; %d or more are needed", config.MaxConns, leastConnections)
	}
	return config, nil
}

func connect(ctx context.Context, url string, adjust func(*pgx.ConnConfig)) (*pgxpool.Pool, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	adjust(config.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open a pool to Postgres: %w", err)
	}
	if err := check(ctx, pool); err != nil {
		pool.Close()
		return nil, explain(config.ConnConfig, err)
	}
	return pool, nil
}

// check refuses a server that cannot be used.
func check(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	if err := checkServer(ctx, pool); err != nil {
		return err
	}
	return checkSession(ctx, pool)
}

func applyDefaults(config *pgxpool.Config) {
	set, _ := pgx.ParseConfig(config.ConnString()) // parsed before, so it has no error; keeps the pool_… settings that were given
	given := func(name string) bool { return set != nil && set.RuntimeParams[name] != "" }
	if !given("pool_max_conns") {
		config.MaxConns = maxConnections
	}
	if !given("pool_max_conn_lifetime_jitter") {
		config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	}
	conn := config.ConnConfig
	if conn.ConnectTimeout == 0 || conn.ConnectTimeout > time.Minute {
		conn.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name": "liveness",
		"timezone":         "UTC",
	} {
		if conn.RuntimeParams[name] == "" {
			conn.RuntimeParams[name] = value
		}
	}
	// A node that hangs in the middle of a transaction must not keep its locks: every read model would wait for it.
	if name := "idle_in_transaction_session_timeout"; conn.RuntimeParams[name] == "" {
		setInSession(conn, map[string]string{name: "60s"})
	}
	if !strings.Contains(config.ConnString(), "target_session_attrs") && os.Getenv("PGTARGETSESSIONATTRS") == "" {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	conn.Tracer = queryTracer{}
	keep := conn.OnPgError
	// A server that has become a standby, or read-only, refuses to write for as long as its connections are kept.
	conn.OnPgError = func(conn *pgconn.PgConn, refusal *pgconn.PgError) bool {
		return refusal.Code != readOnly && keep(conn, refusal)
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
}

// readOnly is the code with which a server refuses to write that can only be read.
const readOnly = "25006"

// CheckWritable returns why nothing can be written, nil when the server answers and takes writes.
func CheckWritable(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer conn.Release()
	var cannot bool
	if err := conn.QueryRow(ctx, "select current_setting('transaction_read_only')::bool").Scan(&cannot); err != nil {
		return fmt.Errorf("ask Postgres whether it can be written to: %w", err)
	}
	if cannot {
		_ = conn.Conn().Close(ctx) // so that the next one looks for a server that can
		return errors.New("the Postgres server is read-only")
	}
	return nil
}

// Clock tells the server's time.
func Clock(ctx context.Context, pool *pgxpool.Pool) (now time.Time, err error) {
	if err := pool.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
		return now, fmt.Errorf("ask Postgres for its time: %w", err)
	}
	return now, nil
}

func checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	var version int
	// Without preparing it: a pooler that shares sessions has lost it by the time it is to be run, and is to be found out below.
	if err := pool.QueryRow(ctx, "select current_setting('server_version_num')::int", pgx.QueryExecModeSimpleProtocol).Scan(&version); err != nil {
		return err
	}
	if version < oldestServer {
		return fmt.Errorf("the server is version %d.%d; version %d or newer is needed", version/10000, version%10000, oldestServer/10000)
	}
	return nil
}

// noDatabase is the code with which a server refuses connections to a database that it does not have.
const noDatabase = "3D000"

// LacksDatabase reports whether Connect failed for want of the database alone.
func LacksDatabase(err error) bool {
	refusal := (*pgconn.PgError)(nil)
	return errors.As(err, &refusal) && refusal.Code == noDatabase
}

// explain says which server was asked for what, and what to look at.
func explain(config *pgx.ConnConfig, err error) error {
	advice := "check that it runs and that the address is right"
	if refusal := (*pgconn.PgError)(nil); errors.As(err, &refusal) {
		switch {
		case refusal.Code == noDatabase:
			advice = "create the database first"
		case len(refusal.Code) == 5 && refusal.Code[:2] == "28":
			advice = "check the user and the password"
		case refusal.Code == "53300":
			advice = "raise its max_connections, or lower pool_max_conns in the URL"
		default:
			advice = "see the server's log"
		}
	}
	if about := poolerAdvice(err); about != "" {
		advice = about
	}
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		advice = "it is read-only: name the primary, or all servers as host1:5432,host2:5432 (target_session_attrs=any would take it as it is)"
	}
	return fmt.Errorf("Postgres at %s:%d (database %q, user %q) cannot be used, %s: %w",
		config.Host, config.Port, config.Database, config.User, advice, err)
}
