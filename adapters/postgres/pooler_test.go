package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// pgBouncer starts PgBouncer with the file of docs/deploy, pooling in a mode, before a database of the test's own, and returns the
// address of the database behind it.
func pgBouncer(t *testing.T, mode string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if os.Getenv("LIVENESS_PROXIES") != "" { // .ci/run has installed it
			t.Fatal(err)
		}
		t.Skip("PgBouncer is not installed")
	}
	config, err := pgxpool.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	server := config.ConnConfig
	_, port, _ := net.SplitHostPort(awaittest.FreeAddress(t))
	shipped, err := os.ReadFile("../../docs/deploy/pgbouncer.ini")
	if err != nil {
		t.Fatal(err)
	}
	// The test's server has neither passwords nor TLS.
	text := strings.NewReplacer(
		"liveness = host=postgres.internal port=5432 dbname=liveness",
		fmt.Sprintf("liveness = host=%s port=%d dbname=%s user=%s", server.Host, server.Port, server.Database, server.User),
		"listen_port = 6432", "listen_port = "+port+"\nunix_socket_dir =",
		"pool_mode = session", "pool_mode = "+mode,
		"auth_type = scram-sha-256", "auth_type = any", "auth_file = ", "; ",
		"client_tls_sslmode = require", "client_tls_sslmode = disable", "server_tls_sslmode = verify-full", "server_tls_sslmode = disable",
		"client_tls_cert_file", "; ", "client_tls_key_file", "; ", "server_tls_ca_file", "; ",
	).Replace(string(shipped))
	dir, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, file)
	command.Stdout, command.Stderr = t.Output(), t.Output()
	if os.Geteuid() == 0 { // as whom it does not run, and who does not reach the server's socket
		owner, err := os.Stat(server.Host)
		if err != nil {
			t.Fatal(err)
		}
		as := owner.Sys().(*syscall.Stat_t)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as.Uid, Gid: as.Gid}}
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	awaittest.Until(t, "PgBouncer", func() bool { return awaittest.Reachable("127.0.0.1:" + port) })
	return (&url.URL{Scheme: "postgres", User: url.User("anybody"), Host: "127.0.0.1:" + port, Path: "/liveness", RawQuery: "sslmode=disable"}).String()
}

// Behind PgBouncer that pools sessions everything is as it is on the server itself: migrations and settings.
func TestBehindAPoolerOfSessions(t *testing.T) {
	t.Parallel()
	address := pgBouncer(t, "session")
	pool := pgtest.Connect(t, address)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	var idle, zone string
	if err := pool.QueryRow(t.Context(), "select current_setting('idle_in_transaction_session_timeout'), current_setting('timezone')").Scan(&idle, &zone); err != nil {
		t.Fatal(err)
	}
	if idle != "1min" || zone != "UTC" {
		t.Errorf("transactions may be idle for %s, the zone is %s", idle, zone)
	}
	reading, err := postgres.ConnectToRead(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	if _, err := reading.Exec(t.Context(), "create table written ()"); err == nil {
		t.Error("who connects to read has written")
	}
}

// A pooler that shares sessions is refused at the start, and so is what no pooler passes on, each with what to do.
func TestPoolersThatCannotBeUsedAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ mode, parameters, want string }{
		"transactions": {"transaction", "", "pool_mode = session"},
		"statements":   {"statement", "", "pool_mode = session"},
		"a parameter":  {"session", "&statement_timeout=5s", "ignore_startup_parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, err := postgres.Connect(t.Context(), pgBouncer(t, test.mode)+test.parameters)
			if err == nil {
				pool.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
