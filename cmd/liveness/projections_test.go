package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// readModels is a log and the read models that are made of it, with the real node, client and Postgres.
type readModels struct {
	flags  ReadModelFlags
	store  *eventstoredb.Store
	source *eventstoredb.Source
	pool   *pgxpool.Pool
	engine *engine.Engine
}

func openReadModels(tb testing.TB, maintained ...engine.Projection) *readModels {
	tb.Helper()
	return openReadModelsIn(tb, pgtest.Database(tb), maintained...)
}

func openReadModelsIn(tb testing.TB, database string, maintained ...engine.Projection) *readModels {
	tb.Helper()
	return openReadModelsLike(tb, nodetest.Line(tb), database, maintained...)
}

func openReadModelsLike(tb testing.TB, line node.Line, database string, maintained ...engine.Projection) *readModels {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	embedded := nodetest.Start(tb, node.Config{Logger: log, Like: line})
	client, err := eventstoredb.Connect(embedded.ConnectionString(), log)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	r := &readModels{flags: ReadModelFlags{LogFlags: LogFlags{EventStore: embedded.ConnectionString()}, Postgres: database}}
	r.store = eventstoredb.NewStore(client, domain.NewRegistry())
	r.source = eventstoredb.NewSource(client, domain.NewRegistry(), log)
	if r.pool, err = postgres.Connect(tb.Context(), r.flags.Postgres); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.pool.Close)
	if err := postgres.Migrate(tb.Context(), r.pool); err != nil {
		tb.Fatal(err)
	}
	r.engine, err = engine.New(engine.Config{
		Pool: r.pool, Source: r.source, Projections: maintained, Log: log,
		LeaseRetry: 20 * time.Millisecond, StopPause: 50 * time.Millisecond,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// maintain runs the engine until the returned function is called or the test ends.
func (r *readModels) maintain(tb testing.TB) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- r.engine.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}
	tb.Cleanup(stop)
	return stop
}

func (r *readModels) waitFor(tb testing.TB, readModel string, position uint64) {
	tb.Helper()
	barrier := engine.NewBarrier(r.pool, 5*time.Minute)
	if err := barrier.WaitFor(tb.Context(), readModel, position); err != nil {
		tb.Fatal(err)
	}
}

// count appends n counted calls of a subscription, the next after those counted already, and gives the last one's position.
func (r *readModels) count(tb testing.TB, subscription uuid.UUID, counted, n int64) (position uint64) {
	tb.Helper()
	const perAppend = 400
	month := domain.Month{Year: 2026, Month: time.November}
	usage := domain.UsageMonth{Month: month, Included: counted}
	standing := domain.Subscription{
		ID: subscription, CustomerID: domain.CustomerIDForSubscription(subscription), Plan: domain.PlanEnterprise, Limit: 1 << 40,
		Overage: domain.OverageContinue, Status: domain.StatusActive,
	}
	for done := int64(0); done < n; {
		batch := make([]commands.Proposed, 0, perAppend)
		expected := usage.Counted() - 1
		for ; done < n && len(batch) < perAppend; done++ {
			event, err := usage.Count(standing, 0, domain.Check{
				ID: uuid.New(), KeySlot: domain.SlotPrimary, At: month.Start().Add(time.Duration(usage.Counted()) * time.Second),
				Judgement: domain.Judgement{FakeLikelihood: 0.0123, ValidFace: true, Brightness: 131.7, Threshold: 0.15, LatencyMS: 93, ModelPack: "default"},
			})
			if err != nil {
				tb.Fatal(err)
			}
			usage = usage.Fold(event)
			batch = append(batch, commands.Proposed{ID: event.CheckID, Event: event, Meta: domain.Metadata{Actor: domain.ActorAPIClient}})
		}
		appended, err := r.store.Append(tb.Context(), domain.UsageStream(subscription, month), expected, batch)
		if err != nil {
			tb.Fatal(err)
		}
		position = appended.Position
	}
	return position
}

// projectionsRun runs a command and gives its output and exit status.
func projectionsRun(tb testing.TB, command interface {
	Run(context.Context, *App) error
}) (out string, code int) {
	tb.Helper()
	var printed bytes.Buffer
	err := command.Run(tb.Context(), &App{Out: &printed, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)})
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return printed.String(), exit.Code
	}
	if err != nil {
		return err.Error(), 1
	}
	return printed.String(), 0
}

// rebuildUnderLoad rebuilds usage while calls are counted, and gives how many are counted afterwards.
func (r *readModels) rebuildUnderLoad(t *testing.T, subscription uuid.UUID, counted int64) int64 {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if out, code := projectionsRun(t, &ProjectionsRebuildCmd{r.flags, "usage"}); code != 0 || !strings.Contains(out, "swapped in") {
			t.Errorf("rebuild = %d\n%s", code, out)
		}
	}()
	for {
		r.waitFor(t, "usage", r.count(t, subscription, counted, 50))
		counted += 50
		select {
		case <-done:
			return counted
		default:
		}
	}
}

func TestProjectionsCommands(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	subscription := uuid.New()
	stop := r.maintain(t)
	r.waitFor(t, "usage", r.count(t, subscription, 0, 5000))

	list := func(name string) engine.Status {
		t.Helper()
		flags := r.flags
		flags.JSON = true
		out, code := projectionsRun(t, &ProjectionsListCmd{flags})
		var statuses []engine.Status
		if err := json.Unmarshal([]byte(out), &statuses); err != nil || code != 0 {
			t.Fatalf("list: %v, exit status %d: %s", err, code, out)
		}
		for _, s := range statuses {
			if s.Name == name {
				return s
			}
		}
		t.Fatalf("%s is not listed: %s", name, out)
		return engine.Status{}
	}
	awaittest.Until(t, "every read model being live", func() bool {
		out, _ := projectionsRun(t, &ProjectionsListCmd{r.flags})
		return strings.Count(out, "live") == len(projections.All())
	})
	if s := list("usage"); s.State != engine.StateLive || s.Lag != 0 {
		t.Errorf("usage = %+v", s)
	}
	line := fmt.Sprintf("subscriptions  %d        live", projections.SubscriptionsProjection().Version)
	if out, code := projectionsRun(t, &ProjectionsListCmd{r.flags}); code != 0 || !strings.Contains(out, line) {
		t.Errorf("list = %d\n%s", code, out)
	}
	if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, "usage"}); code != 0 || strings.Count(out, "equal") != 4 || !strings.Contains(out, "5000") {
		t.Errorf("compare = %d\n%s", code, out)
	}
	if _, err := r.pool.Exec(t.Context(), "update usage.days set included = included + 1"); err != nil {
		t.Fatal(err)
	}
	if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, "usage"}); code != exitDifferent || strings.Count(out, "DIFFERENT") != 1 {
		t.Errorf("compare with a wrong sum = %d\n%s", code, out)
	}
	counted := r.rebuildUnderLoad(t, subscription, 5000)
	if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, "usage"}); code != 0 {
		t.Errorf("compare after the rebuild = %d\n%s", code, out)
	}
	if out, code := projectionsRun(t, &ProjectionsRebuildCmd{r.flags, "nonsense"}); code != 1 || !strings.Contains(out, "api_keys") {
		t.Errorf("rebuild of nonsense = %d\n%s", code, out)
	}
	// The read model goes on after the swap, and another node goes on where this one stops.
	r.waitFor(t, "usage", r.count(t, subscription, counted, 10))
	stop()
	last := r.count(t, subscription, counted+10, 700)
	if s := list("usage"); s.State != engine.StateIdle || s.Lag == 0 {
		t.Errorf("usage when nobody maintains it = %+v", s)
	}
	r.maintain(t)
	r.waitFor(t, "usage", last)
	month, err := projections.NewUsage(r.pool).Month(t.Context(), subscription, domain.Month{Year: 2026, Month: time.November})
	if err != nil || month.Counted() != counted+710 {
		t.Errorf("counted %d, %v", month.Counted(), err)
	}
}

// TestReadModelsOfAnEmptyLog: maintained from before the first event, every read model has every event that follows, and says
// where it is only as far as the log goes.
func TestReadModelsOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	r.maintain(t)
	live := func() {
		t.Helper()
		awaittest.Until(t, "every read model being live", func() bool {
			statuses, err := r.engine.Statuses(t.Context())
			if err != nil || len(statuses) != len(projections.All()) {
				return false
			}
			for _, s := range statuses {
				if !s.CaughtUp() || s.Lag != 0 || s.Position < s.Head {
					return false
				}
			}
			return true
		})
	}
	live()
	subscription := uuid.New()
	r.waitFor(t, "usage", r.count(t, subscription, 0, 5))
	month, err := projections.NewUsage(r.pool).Month(t.Context(), subscription, domain.Month{Year: 2026, Month: time.November})
	if err != nil || month.Counted() != 5 {
		t.Errorf("counted %d, want 5: %v", month.Counted(), err)
	}
	appendRaw(t, r.flags.EventStore, "crm-1", "CustomerMoved", `{}`, ``) // the log ends with an event of somebody else
	live()
	for _, p := range projections.All() {
		if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, p.Name}); code != 0 {
			t.Errorf("compare %s = %d\n%s", p.Name, code, out)
		}
	}
}

// TestProjectionsListExplains: an event of a newer program's version, as it stands in a real log, stops what must not skip
// it, is parked by the others, and both are printed.
func TestProjectionsListExplains(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	r.maintain(t)
	settings, err := esdb.ParseConnectionString(r.flags.EventStore)
	if err != nil {
		t.Fatal(err)
	}
	settings.Logger = esdb.NoopLogging()
	raw, err := esdb.NewClient(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	customer := uuid.New()
	result, err := raw.AppendToStream(t.Context(), domain.APIKeysStream(customer), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
		esdb.EventData{
			EventID: uuid.New(), EventType: "KeyIssued", ContentType: esdb.ContentTypeJson,
			Data: []byte(`{"customerId": "` + customer.String() + `"}`), Metadata: []byte(`{"schemaVersion": 99}`),
		})
	if err != nil {
		t.Fatal(err)
	}
	r.waitFor(t, "activity", result.CommitPosition)
	var out string
	awaittest.Until(t, "stopping", func() bool {
		out, _ = projectionsRun(t, &ProjectionsListCmd{r.flags})
		return strings.Contains(out, "stopped")
	})
	for _, want := range []string{
		"api_keys: KeyIssued, revision 0 of apikeys-" + customer.String(), "activity went past events", "KeyIssued version 99",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the list lacks %q:\n%s", want, out)
		}
	}
}

func TestProjectionsWithoutPostgres(t *testing.T) {
	t.Parallel()
	out, code := projectionsRun(t, &ProjectionsListCmd{ReadModelFlags{LogFlags: LogFlags{Data: t.TempDir()}}})
	if code != 1 || !strings.Contains(out, "liveness dev") || !strings.Contains(out, "--postgres") {
		t.Errorf("list = %d: %s", code, out)
	}
}

// BenchmarkProjectUsage projects counted calls from zero the whole way: event-store node, client, Watermill, Postgres. Their
// number is LIVENESS_BENCH_EVENTS, 20,000 without it.
func BenchmarkProjectUsage(b *testing.B) {
	n := int64(20_000)
	if text := os.Getenv("LIVENESS_BENCH_EVENTS"); text != "" {
		var err error
		if n, err = strconv.ParseInt(text, 10, 64); err != nil || n < 1 {
			b.Fatalf("LIVENESS_BENCH_EVENTS=%q is not a number of events", text)
		}
	}
	r := openReadModelsIn(b, pgtest.Durable(b), projections.UsageProjection())
	const subscriptions = 20
	var last uint64
	begun := time.Now()
	for i := range int64(subscriptions) {
		share := n*(i+1)/subscriptions - n*i/subscriptions
		if share > 0 {
			last = r.count(b, uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), 0, share)
		}
	}
	b.Logf("appended %d events, %.0f a second", n, float64(n)/time.Since(begun).Seconds())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		b.StopTimer()
		if _, err := r.pool.Exec(b.Context(), "drop schema if exists usage cascade"); err != nil {
			b.Fatal(err)
		}
		if _, err := r.pool.Exec(b.Context(), "delete from projection_checkpoints where name = 'usage'"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		stop := r.maintain(b)
		r.waitFor(b, "usage", last)
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	runtime.ReadMemStats(&after)
	projected := float64(n) * float64(b.N)
	b.ReportMetric(projected/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/projected, "B/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/projected, "allocs/event")
}

// TestAScreenWaitsForNoEventOfItsOwn: a read model shows the position of an event that it does not follow as soon as it has read
// so far, not when it happens to take note of it.
func TestAScreenWaitsForNoEventOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newMeteredWorld(t, time.Now(), 10)
	w.subscribe("starter")
	w.settle()
	customer, expected, least := uuid.New(), commands.NoStream, time.Hour
	for range 5 {
		appended, err := w.store.Append(t.Context(), domain.LoginsStream(customer), expected, []commands.Proposed{
			{ID: uuid.New(), Event: domain.LoginSucceeded{CustomerID: customer, At: time.Now()}, Meta: domain.Metadata{Actor: domain.ActorUser}},
		})
		w.must(err)
		expected = int64(appended.Revision)
		began := time.Now()
		w.must(w.barrier.WaitFor(t.Context(), projections.SubscriptionsProjection().Name, appended.Position))
		least = min(least, time.Since(began))
	}
	t.Logf("the least wait for a read model that does not follow the event: %v", least)
	if least > 500*time.Millisecond {
		t.Errorf("who follows an event of others waits %v at least", least)
	}
}
