package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/projections/engine"
)

// TestCreditedCallsAreNotReported: an operator credits calls at the command line; the next records of the month report less by
// them, none below 0, what AWS was told of before is named as a refund, and every account stays provable.
func TestCreditedCallsAreNotReported(t *testing.T) {
	t.Parallel()
	w := newMeteredWorld(t, refusalsHour.Add(5*time.Minute), 10)
	c := w.subscribe("starter")
	worker := w.worker(0)
	hour := func(n int, calls int) {
		t.Helper()
		w.clock.set(refusalsHour.Add(time.Duration(n)*time.Hour + 5*time.Minute))
		w.check(c, calls)
		w.settle()
	}
	report := func(n int) {
		t.Helper()
		w.clock.set(refusalsHour.Add(time.Duration(n+1)*time.Hour + time.Minute))
		w.step(worker)
	}
	command := func(args ...string) (code int, out, errOut string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code = run(append(args, "--eventstore", w.address, "--postgres", w.pool.Config().ConnString()), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	credit := func(calls int, unreported, refund int64) {
		t.Helper()
		code, out, errOut := command("usage", "credit", c.agreement.LicenseARN, strconv.Itoa(calls), "--month", "2026-11", "--why", "ticket 42", "--json")
		var said creditReport
		if code != 0 || json.Unmarshal([]byte(out), &said) != nil || said.Unreported == nil || *said.Unreported != unreported || *said.Refund != refund {
			t.Fatalf("status %d, %s%s; want %d not reported and %d to be refunded", code, out, errOut, unreported, refund)
		}
	}
	billed := func(want ...int64) {
		t.Helper()
		records, err := w.sim.Records(t.Context(), awssim.RecordFilter{LicenseARN: c.agreement.LicenseARN})
		w.must(err)
		byHour := map[int64]int64{}
		for _, r := range records {
			byHour[int64(r.Hour.Sub(refusalsHour)/time.Hour)] = r.Quantity
		}
		for n, quantity := range want {
			if byHour[int64(n)] != quantity {
				t.Errorf("AWS bills %d of hour %d, want %d", byHour[int64(n)], n, quantity)
			}
		}
		if report := w.audit(); len(report.Findings) > 0 {
			t.Errorf("differences: %+v", report.Findings)
		}
	}
	hour(0, 13)
	report(0)
	billed(3)
	hour(1, 5)
	credit(2, 2, 0)
	report(1)
	billed(3, 3)
	credit(5, 2, 5)
	hour(2, 4)
	report(2)
	billed(3, 3, 0)
	code, out, _ := command("usage", "credits")
	if fields := strings.Fields(out); code != 0 || len(fields) < 5 || strings.Join(fields[len(fields)-3:], " ") != "7 6 1" {
		t.Errorf("status %d:\n%s\nwant 7 credited, 6 not reported, 1 to be refunded", code, out)
	}
	code, out, _ = command("usage", "credit", c.subscription.ID.String(), "2", "--month", "2026-11", "--why", "ticket 43")
	if code != 0 || !strings.Contains(out, "9 of that month in all") || !strings.Contains(out, "6 of them are taken off") || !strings.Contains(out, "3 are with AWS already") {
		t.Errorf("status %d: %s", code, out)
	}
	if code, out, errOut := command("metering", "reconcile", "--simulator", "none"); code != 0 || !strings.Contains(out, "3 calls were credited that AWS had been told of") {
		t.Errorf("status %d: %s%s", code, out, errOut)
	}
	for name, args := range map[string][]string{
		"more than was counted": {c.subscription.ID.String(), "4", "--month", "2026-11"}, "none": {c.subscription.ID.String(), "0", "--month", "2026-11"},
		"a month without calls": {c.subscription.ID.String(), "1", "--month", "2026-10"}, "no month": {c.subscription.ID.String(), "1", "--month", "11/2026"},
		"nobody": {"95f7abad-42e1-5c0a-bfc7-9549dc46c693", "1", "--month", "2026-11"}, "no id": {"95f7", "1", "--month", "2026-11"},
	} {
		if code, out, errOut := command(append(append([]string{"usage", "credit"}, args...), "--why", "ticket 42")...); code != exitFailure || out != "" || errOut == "" {
			t.Errorf("%s: status %d, %q, %q", name, code, out, errOut)
		}
	}
	if code, _, errOut := command("usage", "credit", c.subscription.ID.String(), "1"); code != exitUsage || !strings.Contains(errOut, "--why") {
		t.Errorf("without a reason: status %d, %s", code, errOut)
	}
	billed(3, 3, 0)
}

// What the read model of metering has not seen is neither a difference nor a refund that can be relied on.
func TestReadModelOfMeteringThatIsBehind(t *testing.T) {
	t.Parallel()
	w := newMeteredWorld(t, refusalsHour.Add(5*time.Minute), 10)
	c := w.subscribe("starter")
	w.settle()
	conn, err := pgx.ConnectConfig(t.Context(), w.pool.Config().ConnConfig)
	w.must(err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), "begin")
	w.must(err)
	_, err = conn.Exec(t.Context(), "select from projection_checkpoints where name = 'metering' for update")
	w.must(err)
	w.check(c, 13)
	flags := ReadModelFlags{LogFlags: LogFlags{EventStore: w.address}, Postgres: w.pool.Config().ConnString()}
	var both sync.WaitGroup
	defer both.Wait()
	for _, command := range []interface {
		Run(ctx context.Context, app *App) error
	}{&MeteringReconcileCmd{ReadModelFlags: flags, Simulator: "none"}, &UsageCreditsCmd{ReadModelFlags: flags}} {
		ctx, interrupt := context.WithCancel(t.Context())
		asked, err := pgx.ConnectConfig(ctx, w.pool.Config().ConnConfig)
		w.must(err)
		_, err = asked.Exec(ctx, "listen liveness_read_models") // who waits for a read model asks it to hurry
		w.must(err)
		both.Go(func() {
			_, _ = asked.WaitForNotification(ctx)
			interrupt()
			_ = asked.Close(context.WithoutCancel(ctx))
		})
		var out, errOut bytes.Buffer
		err = command.Run(ctx, &App{Out: &out, Err: &errOut, Log: w.log})
		interrupt()
		if code := report(&errOut, err); code != exitInterrupted || out.Len()+errOut.Len() > 0 {
			t.Errorf("%T, interrupted: status %d, %v, %s%s", command, code, err, &out, &errOut)
		}
	}
	for _, command := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"metering", "reconcile", "--simulator", "none"}, exitFindings, "metering is behind the log"},
		{[]string{"usage", "credits", "--json"}, exitDifferent, "[]\nliveness: refund nothing by this list yet"},
	} {
		both.Go(func() {
			var out bytes.Buffer
			code := run(append(command.args, "--eventstore", w.address, "--postgres", w.pool.Config().ConnString()), &out, &out)
			if code != command.code || !strings.Contains(out.String(), command.says) || strings.Contains(out.String(), "the read model shows") {
				t.Errorf("%v: status %d, %s", command.args, code, out.String())
			}
		})
	}
}

// What keeps a command from knowing where a read model is does not say that it is behind.
func TestReadModelThatCannotBeWaitedFor(t *testing.T) {
	t.Parallel()
	w := newMeteredWorld(t, refusalsHour.Add(5*time.Minute), 10)
	w.subscribe("starter")
	closed, err := postgres.Connect(t.Context(), w.pool.Config().ConnString())
	w.must(err)
	closed.Close()
	gone, err := eventstoredb.Connect(w.address, w.log)
	w.must(err)
	w.must(gone.Close())
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for name, err := range map[string]error{
		"Postgres":        caughtUp(t.Context(), closed, w.client, metering.ReadModelName),
		"the event store": caughtUp(t.Context(), w.pool, gone, metering.ReadModelName),
		"the context":     caughtUp(interrupted, w.pool, w.client, metering.ReadModelName),
	} {
		if err == nil || errors.Is(err, engine.ErrBehind) || strings.Contains(err.Error(), "is behind the log") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
