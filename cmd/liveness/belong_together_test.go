package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// No operator's command changes anything with another log, or with other secrets, than the database was written with.
func TestOperatorsCommandsChangeNothingOfAnotherService(t *testing.T) {
	t.Parallel()
	ours, other := nodetest.Start(t, node.Config{}), nodetest.Start(t, node.Config{})
	secret, otherSecret := secretIn(t), filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(otherSecret, []byte("abcdefghijklmnopqrstuvw0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	database := pgtest.Migrated(t)
	ring, err := SecretFlags{SecretFile: secret}.secrets(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Connect(t, database)
	if err := engine.Prepare(t.Context(), pool, projections.All()...); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CheckSecrets(t.Context(), pool, ring); err != nil {
		t.Fatal(err)
	}
	page, err := ours.Store().ReadAll(t.Context(), store.Forwards, 0, 1)
	if err != nil || len(page.Events) == 0 {
		t.Fatalf("%d events, %v", len(page.Events), err)
	}
	first := page.Events[0] // which every node begins with, each with one of its own
	if _, err := pool.Exec(t.Context(), `
		update projection_checkpoints set position = $1, event_position = $1, mark = jsonb_build_object('id', $2::text, 'stream', $3::text, 'revision', 0, 'position', $1::bigint)
		where name = 'usage'`, int64(first.Position), first.ID.String(), first.Stream); err != nil {
		t.Fatal(err)
	}

	subscription := uuid.NewString()
	commands := map[string]struct {
		args    []string
		secrets bool // it needs them
	}{
		"erase":                    {[]string{"erase", subscription, "--yes"}, true},
		"erase again":              {[]string{"erase", "--recorded", "--yes"}, true},
		"place a hold":             {[]string{"hold", "place", subscription, "--why=a dispute"}, true},
		"release a hold":           {[]string{"hold", "release", subscription, subscription, "--why=it is over"}, true},
		"remove the second factor": {[]string{"login", "remove-second-factor", subscription, "--yes"}, true},
		"wrap keys again":          {[]string{"secret", "rewrap"}, true},
		"replay mails":             {[]string{"mails", "replay"}, false},
		"drop a mail":              {[]string{"mails", "drop", subscription, "--why=told by telephone"}, false},
		"credit usage":             {[]string{"usage", "credit", subscription, "5", "--why=charged twice"}, false},
		"resolve a record":         {[]string{"metering", "resolve", subscription, "2026112212", "starter_over", "--as=carry", "--reason=not in CloudTrail"}, false},
		"reinstate a subscription": {[]string{"subscription", "reinstate", subscription, "--why=AWS case"}, false},
		"skip an event":            {[]string{"projections", "skip", "usage", "1", "--why=written by a test"}, false},
	}
	for name, command := range commands {
		refused := func(eventStore, secretFile, want string) {
			t.Helper()
			args := append(append([]string{}, command.args...), "--eventstore="+eventStore, "--postgres="+database)
			if command.secrets {
				args = append(args, "--secret-file="+secretFile)
			}
			if status, out, errOut := runLine(args...); status != exitFailure || !strings.Contains(errOut, want) {
				t.Errorf("%s: %d, %s%s", name, status, out, errOut)
			}
		}
		refused(other.ConnectionString(), secret, engine.ErrOtherLog.Error())
		if command.secrets {
			refused(ours.ConnectionString(), otherSecret, postgres.ErrOtherSecrets.Error())
		}
	}
	// With what belongs together they get as far as to look for what they are told.
	if status, _, errOut := runLine("subscription", "reinstate", subscription, "--why=AWS case", "--eventstore="+ours.ConnectionString(), "--postgres="+database); status != exitFailure ||
		!strings.Contains(errOut, "there is no subscription") {
		t.Errorf("with our own log: %d, %s", status, errOut)
	}
	var notes int
	if err := pool.QueryRow(t.Context(), "select count(distinct id) from secret_fingerprints").Scan(&notes); err != nil || notes != 1 {
		t.Errorf("%d secrets are noted as in use, %v", notes, err)
	}
}
