package postgres_test

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	pool := connect(t, address)
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

func TestConnectKeepsWhatTheURLSays(t *testing.T) {
	t.Parallel()
	separator := "?"
	address := pgtest.Database(t)
	switch {
	case !strings.Contains(address, "://"):
		separator = " "
	case strings.Contains(address, "?"):
		separator = "&"
	}
	pool := connect(t, address+separator+strings.Join([]string{"pool_max_conns=5", "application_name=mine"}, map[bool]string{true: " ", false: "&"}[separator == " "]))
	var name string
	if err := pool.QueryRow(t.Context(), "select current_setting('application_name')").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if most := pool.Config().MaxConns; most != 5 || name != "mine" {
		t.Errorf("pool of %d named %q", most, name)
	}
}

// TestConnectRefusals: each error says what to do and none says the password.
func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
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
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), url.QueryEscape("geheim")) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
