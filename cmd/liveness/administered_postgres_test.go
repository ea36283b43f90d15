package main

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/parts"
)

// administered is a Postgres as an operator has it: its superuser is called postgres, and what the product may do there is for an
// operator to say.
type administered struct{ cluster *localpostgres.Cluster }

func administeredPostgres(t *testing.T) administered {
	t.Helper()
	binaries, err := parts.New(parts.Options{}).Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binaries, Dir: filepath.Join(t.TempDir(), "postgres"), Disposable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		if err := cluster.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	a := administered{cluster}
	a.execute(t, cluster.ConnString("postgres"), "create role postgres superuser login")
	a.execute(t, a.address("postgres", "postgres"), "alter role liveness rename to first_superuser")
	return a
}

// address returns the address of a database for a role.
func (a administered) address(role, database string) string {
	address, err := url.Parse(a.cluster.ConnString(database))
	if err != nil {
		panic(err) // it was made by url.URL
	}
	query := address.Query()
	query.Set("user", role)
	address.RawQuery = query.Encode()
	return address.String()
}

func (a administered) execute(t *testing.T, address, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// run has psql run a script as the superuser.
func (a administered) run(t *testing.T, script string) {
	t.Helper()
	a.psql(t, script, "psql")
}

// runWithPassword is run with the role's password where the containers of docs/deploy have it.
func (a administered) runWithPassword(t *testing.T, script, password string) {
	t.Helper()
	prepare := `mount -t tmpfs none /run && mkdir /run/secrets && printf %s "$1" >/run/secrets/postgres_password && shift && exec "$@"`
	unshare := []string{"unshare", "--mount"}
	if os.Geteuid() != 0 { // who is root already would lose rights
		unshare = append(unshare, "--map-root-user")
	}
	a.psql(t, script, append(unshare, "sh", "-euc", prepare, "sh", password, "psql")...)
}

func (a administered) psql(t *testing.T, script string, program ...string) {
	t.Helper()
	args := slices.Concat(program[1:], []string{a.address("postgres", "postgres"), "--no-psqlrc", "--set", "ON_ERROR_STOP=1"})
	psql := exec.CommandContext(t.Context(), program[0], args...)
	psql.Stdin = strings.NewReader(script)
	if said, err := psql.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}
