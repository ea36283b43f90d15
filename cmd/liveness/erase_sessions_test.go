package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// TestInterruptedErasureEndsSessions: an erasure that could not end somebody's sessions certifies nothing, and ends them when it is
// repeated: of a customer, and of a person who is named by their address. A customer's erasure reaches who was removed before and
// acts for nobody.
func TestInterruptedErasureEndsSessions(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dev := startDev(t, data)
	owner := dev.visitor(t)
	owner.register(erased)
	owner.post("/console/activate", "/console/activate", "token", owner.mailed(erased.Email, "Verify"), "password", erasedPassword)
	owner.post("/console/dashboard", "/console/login", "email", erased.Email, "password", erasedPassword)
	for _, address := range []string{erasedColleague, erasedNewEmail, "frueher@xylophonides.example"} {
		owner.command("people/invite", map[string]string{"email": address, "role": "reader"})
		dev.visitor(t).post("/console/dashboard", "/console/invitation",
			"token", owner.mailed(address, "invited"), "firstName", "Q", "lastName", erased.LastName, "password", erasedPassword)
	}

	database, pool := dev.database(t)
	address := "esdb://" + nodeLine.FindStringSubmatch(dev.printed.String())[1] + "?tls=false"
	op := commandLineBeside{t, []string{"--eventstore", address, "--postgres", database, "--secret-file", filepath.Join(data, "secret")}}
	logins := loggedIn(t, pool)
	if len(logins) != 4 {
		t.Fatalf("logged in are %v", logins)
	}
	owner.command("people/"+logins[3]+"/remove", map[string]string{})
	for _, c := range []struct {
		erase []string
		whose string // sessions cannot be ended at first
	}{{[]string{"erase", "--person", erasedNewEmail, "--yes"}, logins[2]}, {[]string{"erase", logins[0], "--yes"}, logins[1]}} {
		keepLogins(t, pool, c.whose)
		if out, status := op.run(c.erase...); status != exitFailure || !strings.Contains(out, "sessions could not be ended") {
			t.Errorf("%v, while sessions cannot be ended = %d, %s", c.erase, status, out)
		}
		if _, err := pool.Exec(t.Context(), "drop function keep_logins cascade"); err != nil {
			t.Fatal(err)
		}
		if out, status := op.run(c.erase...); status != 0 || !strings.Contains(out, "sessions ended") {
			t.Errorf("%v, repeated = %d, %s", c.erase, status, out)
		}
		if slices.Contains(loggedIn(t, pool), c.whose) {
			t.Errorf("%v leaves %s logged in", c.erase, c.whose)
		}
	}
	if out := op.must("erase", logins[0], "--yes"); strings.Count(out, "of an account destroyed") != len(logins) {
		t.Errorf("certified is %s", out)
	}
	if left := loggedIn(t, pool); len(left) > 0 {
		t.Errorf("logged in are %v", left)
	}
}

// loggedIn returns the accounts that are logged in, in the order they did.
func loggedIn(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, _ := pool.Query(t.Context(), "select account_id::text from console_logins group by account_id order by min(began_at)")
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}

// keepLogins makes the database refuse to end the logins of an account.
func keepLogins(t *testing.T, pool *pgxpool.Pool, account string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `
		create function keep_logins() returns trigger language plpgsql as $$ begin raise 'kept'; end $$;
		create trigger keep_logins before delete on console_logins for each row
		when (old.account_id = '`+account+`') execute function keep_logins()`); err != nil {
		t.Fatal(err)
	}
}
