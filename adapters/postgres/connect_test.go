package postgres_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	pool := pgtest.Connect(t, address)
	var at time.Time
	var zone, name string
	if err := pool.QueryRow(t.Context(), "select now(), current_setting('timezone'), current_setting('application_name')").Scan(&at, &zone, &name); err != nil {
		t.Fatal(err)
	}
	if at.Location() != time.UTC || zone != "UTC" || name != "liveness" {
		t.Errorf("times are in %s, the session's zone is %s, its name %q", at.Location(), zone, name)
	}
	if most := pool.Config().MaxConns; most != 16 {
		t.Errorf("the pool holds up to %d connections", most)
	}
}

// with returns an address with settings.
func with(address string, settings ...string) string {
	for _, setting := range settings {
		switch {
		case !strings.Contains(address, "://"):
			address += " " + setting
		case strings.Contains(address, "?"):
			address += "&" + setting
		default:
			address += "?" + setting
		}
	}
	return address
}

func TestConnectKeepsWhatTheURLSays(t *testing.T) {
	t.Parallel()
	pool := pgtest.Connect(t, with(pgtest.Database(t), "pool_max_conns=5", "application_name=mine"))
	var name string
	if err := pool.QueryRow(t.Context(), "select current_setting('application_name')").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if most := pool.Config().MaxConns; most != 5 || name != "mine" {
		t.Errorf("pool of %d named %q", most, name)
	}
}

// A server that can only be read is not taken, unless the URL says so.
func TestConnectToAServerThatIsReadOnly(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	pool := pgtest.Connect(t, address)
	allSessions := func(readOnly string) {
		t.Helper()
		var name string
		if err := pool.QueryRow(t.Context(), "select quote_ident(current_database())").Scan(&name); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), "alter database "+name+" set default_transaction_read_only = "+readOnly); err != nil {
			t.Fatal(err)
		}
	}
	allSessions("on")
	refused, err := postgres.Connect(t.Context(), address)
	if err == nil {
		refused.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "it is read-only") {
		t.Errorf("connected with %v, want a refusal that says why", err)
	}
	either := pgtest.Connect(t, with(address, "target_session_attrs=any"))
	if err := postgres.CheckWritable(t.Context(), either); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("can be written to: %v", err)
	}
	allSessions("off")
	if err := postgres.CheckWritable(t.Context(), pgtest.Connect(t, address)); err != nil {
		t.Errorf("cannot be written to: %v", err)
	}
	for asked := range 17 { // each of up to 16 connections is left when it is asked
		if err = postgres.CheckWritable(t.Context(), either); err == nil {
			break
		} else if asked == 16 {
			t.Errorf("keeps connections that could only be read: %v", err)
		}
	}
}

// The connections of a server that has become a standby are left at the first write that it refuses, each of them.
func TestReadOnlyConnectionsAreLeft(t *testing.T) {
	t.Parallel()
	pool := pgtest.Connect(t, with(pgtest.Database(t), "pool_max_conns=4"))
	held := make([]*pgxpool.Conn, 4)
	for i := range held {
		var err error
		if held[i], err = pool.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := held[i].Exec(t.Context(), "set session characteristics as transaction read only"); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range held {
		conn.Release()
	}
	refused := 0
	for range 2 * len(held) {
		_, err := pool.Exec(t.Context(), "create table if not exists written ()")
		if refusal := (*pgconn.PgError)(nil); errors.As(err, &refusal) && refusal.Code == "25006" {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 || refused > len(held) {
		t.Errorf("%d writes refused, want each of %d connections to refuse one at most", refused, len(held))
	}
}

// TestConnectRefusals: each error says what to do and none says the password.
func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	nobody := awaittest.FreeAddress(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })

	tests := []struct{ name, address, want string }{
		{"nothing configured", "", "give its URL"},
		{"not a URL", "postgres://user:geheim@host:port/db", "read the Postgres URL"},
		{"too small a pool", "postgres://user:geheim@" + nobody + "/db?pool_max_conns=3", "4 or more"},
		{"nobody listens", "postgres://user:geheim@" + nobody + "/db", "check that it runs"},
		{"nobody answers", "postgres://user:geheim@" + silent.Addr().String() + "/db?connect_timeout=1", "check that it runs"},
		{"no such database", strings.Replace(pgtest.Database(t), "test_", "nonsense_", 1), "create the database first"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pool, err := postgres.Connect(t.Context(), test.address)
			if err == nil {
				pool.Close()
				t.Fatal("connected")
			}
			if lacks := postgres.LacksDatabase(err); lacks != (test.name == "no such database") {
				t.Errorf("it lacks the database: %v", lacks)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), url.QueryEscape("geheim")) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
