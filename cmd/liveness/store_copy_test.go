package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/eventstoredb/logcopy"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// rowsOf returns the content of a table of a read model in a database.
func rowsOf(t *testing.T, address, query string) []string {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	rows, _ := pool.Query(t.Context(), "select r::text from ("+query+") as r order by 1")
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestStoreCopyKeepsTheBill copies the log of some hours of metering, with calls that were decided in one hour and recorded
// in another, and makes the read models anew from the copy: hours, records and accounts are the same.
func TestStoreCopyKeepsTheBill(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)
	w := newMeteredWorld(t, start, 3)
	customer := w.subscribe("starter")
	worker := w.worker(0)
	for hour := range 4 {
		w.check(customer, 4)
		// The log's clock is 40 s behind: these are decided in the next hour and recorded in this one.
		w.clock.set(domain.UsageHour(start).Add(time.Duration(hour+1)*time.Hour + 10*time.Second))
		w.check(customer, 2)
		w.clock.set(w.clock.now().Add(5 * time.Minute))
		w.settle()
		if _, err := worker.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.check(customer, 1)
	before := w.audit()
	if len(before.Findings) > 0 || before.Records < 3 {
		t.Fatalf("before the copy: %+v", before)
	}

	// As it would be: the target stamps with its own clock, another database takes the read models.
	target := nodetest.Start(t, node.Config{})
	database := pgtest.Database(t)
	out, code := projectionsRun(t, &StoreCopyCmd{From: w.address, To: target.ConnectionString(), Postgres: database, JSON: true})
	var report copyReport
	if err := json.Unmarshal([]byte(out), &report); code != 0 || err != nil || len(report.Rebuilt) != len(projections.All()) || report.Times == 0 {
		t.Fatalf("copy = %d, %v: %s", code, err, out)
	}
	const hours = "select subscription_id, hour, plan, counted, carried, state, record_id, quantity, attempts, unanswered, outcome, metering_record_id from metering.windows"
	if diff := cmp.Diff(rowsOf(t, w.pool.Config().ConnString(), hours), rowsOf(t, database, hours)); diff != "" {
		t.Errorf("metered hours (-source +copy):\n%s", diff)
	}

	client, err := eventstoredb.Connect(target.ConnectionString(), w.log)
	w.must(err)
	t.Cleanup(func() { _ = client.Close() })
	replayed, err := auditing.Rules(t.Context(), eventstoredb.NewAuditedLog(client))
	w.must(err)
	after := replayed.Settle()
	before.InFlight = after.InFlight
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("metering accounts (-source +copy):\n%s", diff)
	}
	// On from there into the same database, whose checkpoints are now those of another log: positions there are lower.
	onward := nodetest.Start(t, node.Config{})
	if out, code := projectionsRun(t, &StoreCopyCmd{From: target.ConnectionString(), To: onward.ConnectionString(), Postgres: database}); code != 0 {
		t.Fatalf("copy of the copy = %d: %s", code, out)
	}
	if diff := cmp.Diff(rowsOf(t, w.pool.Config().ConnString(), hours), rowsOf(t, database, hours)); diff != "" {
		t.Errorf("metered hours (-source +copy of the copy):\n%s", diff)
	}
	flags := ReadModelFlags{LogFlags: LogFlags{EventStore: onward.ConnectionString()}, Postgres: database}
	if out, code := projectionsRun(t, &ProjectionsCompareCmd{flags, "metering"}); code != 0 {
		t.Errorf("compare = %d: %s", code, out)
	}

	audited := func(address string) string {
		out, _ := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: LogFlags{EventStore: address}}})
		return out
	}
	if diff := cmp.Diff(audited(w.address), audited(target.ConnectionString())); diff != "" {
		t.Errorf("audit (-source +copy):\n%s", diff)
	}
}

func TestIncompleteCopyIsNotAudited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := openReadModels(t)
	r.count(t, uuid.New(), 0, 30)
	app := &App{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)}
	from, closeFrom, err := openEndOfCopy(t.Context(), app, "--from", r.flags.EventStore, false)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFrom()
	to, closeTo, err := openEndOfCopy(t.Context(), app, "--to", dir, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config := new(StoreCopyCmd).config(app, from, to)
	config.Progress = func(logcopy.Progress) { cancel() }
	_, err = logcopy.Run(ctx, config)
	closeTo()
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	flags := ReadModelFlags{LogFlags: LogFlags{Data: dir, address: "127.0.0.1:1"}}
	out, code := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: flags})
	if code != 1 || !strings.HasSuffix(out, eventstoredb.ErrCopyIncomplete.Error()) || strings.Contains(out, "no data") {
		t.Errorf("audit of an incomplete copy = %d: %s", code, out)
	}
}

func TestStoreCopyOfDataDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "new", "target")
	r := openReadModels(t)
	subscription := uuid.New()
	r.count(t, subscription, 0, 900)
	if out, code := projectionsRun(t, &StoreCopyCmd{From: source, To: target}); code != 1 || !strings.Contains(out, "--from: there is no data directory "+source) {
		t.Errorf("copy of nothing = %d: %s", code, out)
	}
	if out, code := projectionsRun(t, &StoreCopyCmd{From: r.flags.EventStore, To: source}); code != 0 || !strings.Contains(out, "900 events are the same in both logs, 900 of them copied now") {
		t.Fatalf("copy into a directory = %d: %s", code, out)
	}
	if out, code := projectionsRun(t, &StoreCopyCmd{From: source, To: target}); code != 0 || !strings.Contains(out, "--postgres URL") {
		t.Errorf("copy of a directory = %d: %s", code, out)
	}
	if out, code := projectionsRun(t, &StoreCopyCmd{From: source, To: target, VerifyOnly: true}); code != 0 || !strings.Contains(out, "900 events are the same in both logs, 0 of them") {
		t.Errorf("verification = %d: %s", code, out)
	}
	r.count(t, subscription, 900, 1)
	for _, verify := range []bool{true, false} {
		out, code := projectionsRun(t, &StoreCopyCmd{From: target, To: r.flags.EventStore, VerifyOnly: verify, JSON: true})
		var report copyReport
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitDifferent || !strings.Contains(report.Difference, "CheckCompleted") {
			t.Errorf("copy onto a log that has gone on = %d, %v: %s", code, err, out)
		}
	}
}
