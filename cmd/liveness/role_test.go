package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// try runs a command line of the program in a walk's directory, and returns how it ended and what it has said.
func (w *walk) try(t *testing.T, variables, line string) (status int, out, errOut string) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "bash", "-euc", w.here(variables)+"exec liveness "+w.here(line))
	shell.Dir, shell.Env = w.dir, append(os.Environ(), "PATH="+w.dir+":"+os.Getenv("PATH"))
	var said, complained strings.Builder
	shell.Stdout, shell.Stderr = &said, &complained
	err := shell.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return shell.ProcessState.ExitCode(), said.String(), complained.String()
}

// forbidden finds what Postgres says to who lacks a right.
var forbidden = regexp.MustCompile(`(?i)permission denied|must be (owner|superuser|able)|SQLSTATE 42501`)

// commandsOnPostgres returns the commands that are given a database.
func commandsOnPostgres(t *testing.T) (names []string) {
	t.Helper()
	parser, err := kong.New(&commandLine{}, kong.Name("liveness"), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		for _, flag := range slices.Concat(leaf.AllFlags(true)...) {
			if flag.Name == "postgres" {
				names = append(names, strings.TrimPrefix(leaf.FullPath(), "liveness "))
			}
		}
	}
	return names
}

// ofDeployment skips a test that takes a minute to put together what a deployment is made of, where nobody has asked for it.
func ofDeployment(t *testing.T) {
	t.Helper()
	if os.Getenv("LIVENESS_DEPLOYMENT") == "" {
		t.Skip("takes minutes: LIVENESS_DEPLOYMENT=1 has it run, as `task deployment` and CI do")
	}
}

// Everything that the product does it does as the role that docs/deploy/postgres/role.sql makes, which owns nothing but what it makes:
// the migrations, serve, work and each command of operators. A command without a case fails.
func TestTheRoleOwnsNothingAndIsEnough(t *testing.T) {
	ofDeployment(t)
	t.Parallel()
	server := administeredPostgres(t)
	script, err := os.ReadFile("../../docs/deploy/postgres/role.sql")
	if err != nil {
		t.Fatal(err)
	}
	server.runWithPassword(t, string(script), "secret")
	wantNoMoreRights(t, server)

	w, start := newWalkOn(t, server.address("liveness", "liveness")), documentBlock(t, emptyMachine)
	stop := w.run(t, start)
	eventually(t, "serve", func() error { return w.healthy(t.Context(), "8080") })
	visitor := w.visitor(t)
	visitor.register(erased)
	visitor.post("/console/activate", "/console/activate", "token", visitor.mailed(erased.Email, "Verify"), "password", erasedPassword)

	var found []foundCustomer
	var mails []struct{ ID uuid.UUID }
	var hold struct {
		Hold uuid.UUID `json:"holdId"`
	}
	// The read models follow what was done; until then the answer is an empty list.
	read := func(line string, into any) {
		t.Helper()
		eventually(t, line, func() error {
			_, out, errOut := w.try(t, variables(start), line)
			if err := json.Unmarshal([]byte(out), into); err != nil || strings.TrimSpace(out) == "[]" {
				return errors.New(out + errOut)
			}
			return nil
		})
	}
	read("customers find "+erased.Email+" --json", &found)
	read("mails list --all --json", &mails)
	customer, subscription := found[0].CustomerID.String(), found[0].SubscriptionID.String()
	read("hold place "+customer+" --why test --json", &hold)
	if err := os.WriteFile(filepath.Join(w.dir, "texts"), []byte(erased.LastName+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	export := "--customer " + customer + " --out proof --month " + time.Now().UTC().Format("2006-01")
	eventually(t, "a signed checkpoint, on which a proof rests", func() error {
		if status, out, errOut := w.try(t, variables(start), "audit export "+export); status != 0 {
			return errors.New(out + errOut)
		}
		return nil
	})
	// What they do is for their own tests; here it is the database that must not refuse them.
	tried := []string{"serve", "work", "dev", "customers find", "mails list", "hold place"}
	for _, test := range []struct {
		command, args string
		status        int
	}{
		{"projections list", "", 0},
		{"projections compare", "usage", 0},
		{"projections rebuild", "", 0},
		{"projections skip", "usage 1 --why test", exitFailure}, // it is not stopped
		{"mails show", mails[0].ID.String(), 0},
		{"mails replay", "", 0},
		{"mails drop", mails[0].ID.String() + " --why test", exitFailure}, // it was sent
		{"subscription missing", "", 0},
		{"metering status", "", 0},
		{"metering reconcile", "--simulator none", 0},
		{"subscription reinstate", subscription + " --why test", exitFailure}, // it has not ended
		{"metering resolve", subscription + " 2026110100 checks --as writeoff --reason test", exitFailure},
		{"usage credit", subscription + " 1 --why test", exitFailure}, // nothing is beyond the plan
		{"usage credits", "", 0},
		{"audit verify", "--read-models", 0},
		{"audit export", export, 0},
		{"hold show", customer, 0},
		{"hold release", customer + " " + hold.Hold.String() + " --why test", 0},
		{"search", "--texts texts", 0},
		{"login remove-second-factor", erased.Email + " --yes", exitFailure},
		{"secret add", "links", 0},
		{"secret status", "", 0},
		{"secret rewrap", "", 0},
		{"secret retire", "nothing", exitFailure},
		{"erase", customer + " --yes", 0},
		{"store backup", "--data ./events ./copied", 0},
		{"store copy", "--from ./events --to ./copy --postgres \"$LIVENESS_POSTGRES_URL\"", 0},
	} {
		if test.command == "store copy" {
			stop()
		}
		tried = append(tried, test.command)
		status, out, errOut := w.try(t, variables(start), test.command+" "+test.args)
		if said := out + errOut; status != test.status || forbidden.MatchString(said) {
			t.Errorf("%s: status %d, want %d:\n%s", test.command, status, test.status, said)
		}
	}
	for _, command := range commandsOnPostgres(t) {
		if !slices.Contains(tried, command) {
			t.Errorf("%q was not tried", command)
		}
	}
	said, err := os.ReadFile(filepath.Join(w.dir, "output"))
	if err != nil || forbidden.Match(said) {
		t.Errorf("a part was refused something (%v):\n%s", err, forbidden.FindAll(said, -1))
	}
	stop()
}

// wantNoMoreRights fails when the role may do more on the server than on its own database, or owns that.
func wantNoMoreRights(t *testing.T, server administered) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.address("liveness", "liveness"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var owned int
	var more bool
	if err := conn.QueryRow(t.Context(), `
		select (select count(*) from pg_database where datdba = oid_of.oid) + (select count(*) from pg_namespace where nspowner = oid_of.oid),
			rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
		from pg_roles as oid_of where rolname = current_user`).Scan(&owned, &more); err != nil || owned > 0 || more {
		t.Errorf("the role owns %d things, and may do more than it has to: %t (%v)", owned, more, err)
	}
	for _, other := range []string{"postgres", "template1"} {
		if conn, err := pgx.Connect(t.Context(), server.address("liveness", other)); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("the role connects to the database %s", other)
		}
	}
}
