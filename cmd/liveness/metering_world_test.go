package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// settableClock is the time of the log, the program and AWS alike.
type settableClock struct{ at atomic.Int64 }

func (c *settableClock) now() time.Time  { return time.Unix(0, c.at.Load()).UTC() }
func (c *settableClock) set(t time.Time) { c.at.Store(t.UnixNano()) }

// meteredWorld is everything that metering touches, for real but for the clock: the embedded node, Postgres, the AWS
// simulator over HTTP and the AWS SDK.
type meteredWorld struct {
	t         *testing.T
	clock     *settableClock
	random    *rand.Rand
	address   string // of the log
	client    *eventstoredb.Client
	store     *watchedStore
	pool      *pgxpool.Pool
	model     *projections.Metering
	barrier   *engine.Barrier
	sim       *awssim.Sim
	aws       *breakableServer
	settings  aws.Config
	buying    *marketplace.Client
	catalogue domain.Catalogue
	log       *slog.Logger
	customers []*meteredCustomer
	kills     int
}

// meteredCustomer is a subscription and what its usage stream holds.
type meteredCustomer struct {
	subscription domain.Subscription
	agreement    awssim.Agreement
	usage        domain.UsageMonth
	revision     int64
	decidedOn    uint64 // revision of the subscription
	ended        bool
	produced     int64 // counted calls beyond the plan
	credited     int64
}

func newMeteredWorld(t *testing.T, start time.Time, limit int64, change ...func(*awssim.Config)) *meteredWorld {
	t.Helper()
	w := &meteredWorld{t: t, clock: &settableClock{}, random: rand.New(rand.NewPCG(6, 20)), log: slog.New(slog.DiscardHandler)}
	if os.Getenv("LIVENESS_METERING_LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w.clock.set(start)
	w.catalogue = domain.CatalogueOf(
		domain.Plan{ID: domain.PlanStarter, Name: "Starter", MonthlyCalls: limit, PriceUSD: 1, OverageDimension: "starter_over"},
		domain.Plan{ID: domain.PlanStandard, Name: "Standard", MonthlyCalls: 2 * limit, PriceUSD: 2, OverageDimension: "standard_over"},
	)

	embedded := nodetest.Start(t, node.Config{Store: store.Options{Now: w.logNow}, Logger: w.log})
	w.address = embedded.ConnectionString()
	var err error
	w.client, err = eventstoredb.Connect(w.address, w.log)
	w.must(err)
	t.Cleanup(func() { _ = w.client.Close() })
	w.store = &watchedStore{EventStore: eventstoredb.NewStore(w.client, domain.NewRegistry()), newest: map[string]uint64{}}

	w.pool = pgtest.Pool(t)
	w.model, w.barrier = projections.NewMetering(w.pool), engine.NewBarrier(w.pool, time.Minute)
	w.project()

	simulated := awssim.Config{
		ProductCode: devProductCode, MeteredDimensions: []string{"starter_over", "standard_over"}, QueueName: devQueue, Now: w.clock.now, Seed: 6, Logger: w.log,
		Plans: []awssim.Plan{{Dimension: "starter", Name: "Starter", MonthlyCalls: limit}, {Dimension: "standard", Name: "Standard", MonthlyCalls: 2 * limit}},
	}
	for _, c := range change {
		c(&simulated)
	}
	w.sim, err = awssim.New(simulated)
	w.must(err)
	t.Cleanup(func() { _ = w.sim.Close() })
	w.aws = newBreakableServer(t, w.sim.Handler())
	w.settings, err = awsconfig.Load(t.Context(), awsconfig.Settings{Region: "us-east-1", Endpoint: "http://" + w.aws.addr, AccessKeyID: "simulated", SecretAccessKey: "simulated"})
	w.must(err)
	w.settings.Retryer = func() aws.Retryer { // as often as usual, only sooner
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 5 * time.Millisecond })
	}
	w.buying, err = marketplace.New(w.settings, marketplace.Settings{ProductCode: devProductCode})
	w.must(err)
	return w
}

// logNow is the log's clock, which is behind that of the workers by more than the grace that they give it.
func (w *meteredWorld) logNow() time.Time { return w.clock.now().Add(-40 * time.Second) }

func (w *meteredWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// project runs the two read models that metering needs until the test ends.
func (w *meteredWorld) project() {
	source := eventstoredb.NewSource(w.client, domain.NewRegistry(), w.log)
	source.LiveInterval = time.Millisecond // whoever meters waits for each batch
	models, err := engine.New(engine.Config{
		Pool: w.pool, Source: source, Log: w.log, Barrier: w.barrier,
		Projections: []engine.Projection{projections.MeteringProjection(), projections.SubscriptionsProjection()},
	})
	w.must(err)
	w.must(engine.Prepare(w.t.Context(), w.pool, models.Projections...))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- models.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// reporting is the worker's part that takes messages.
func (w *meteredWorld) reporting() *reporting { return w.reportingFrom(w.buying) }

func (w *meteredWorld) reportingFrom(source subscriptions.EntitlementSource) *reporting {
	r := &reporting{counters: newReportingCounters()}
	var err error
	r.sync, err = subscriptions.NewEntitlementSync(subscriptions.EntitlementSyncConfig{
		Executor: w.executor(), Catalogue: w.catalogue, Log: w.log,
		Source: source, Directory: projections.NewSubscriptions(w.pool), ProductCode: devProductCode,
		Gaps: postgres.NewEntitlementGaps(w.pool), Barrier: w.barrier, Bound: domain.EndingBound{Subscriptions: 3, Percent: 1}, UnansweredGrace: 24 * time.Hour,
	})
	w.must(err)
	return r
}

func (w *meteredWorld) executor() commands.Executor {
	return commands.Executor{Store: w.store, Now: w.clock.now}
}

func (w *meteredWorld) subscriptions() subscriptions.Commands {
	return subscriptions.Commands{Executor: w.executor()}
}

// subscribe buys and registers as a buyer does.
func (w *meteredWorld) subscribe(plan string) *meteredCustomer {
	w.t.Helper()
	agreement, err := w.sim.Subscribe(w.t.Context(), awssim.SubscribeRequest{Plan: plan, TermMonths: 12})
	w.must(err)
	return w.register(agreement)
}

func (w *meteredWorld) register(agreement awssim.Agreement) *meteredCustomer {
	w.t.Helper()
	token, err := w.sim.Token(w.t.Context(), agreement.ID)
	w.must(err)
	registration := subscriptions.Registration{Commands: w.subscriptions(), Catalogue: w.catalogue, Marketplace: w.buying, ProductCode: devProductCode}
	buyer, err := registration.RegisterBuyer(w.t.Context(), subscriptions.RegisterBuyer{By: commands.NewOrigin(domain.ActorBuyer), Token: token})
	w.must(err)
	c := &meteredCustomer{subscription: buyer.Subscription, agreement: agreement, revision: commands.NoStream}
	w.customers = append(w.customers, c)
	return c
}

// check counts calls of a customer as of now, in one append.
func (w *meteredWorld) check(c *meteredCustomer, calls int) {
	w.t.Helper()
	now := w.clock.now()
	if month := domain.MonthOf(now); c.usage.Month != month {
		c.usage, c.revision = domain.UsageMonth{Month: month}, commands.NoStream
	}
	proposed := make([]commands.Proposed, calls)
	for i := range proposed {
		event, err := c.usage.Count(c.subscription, c.decidedOn, domain.Check{ID: uuid.New(), KeySlot: domain.SlotPrimary, At: now})
		w.must(err)
		if event.Billing == domain.BillingOverage {
			c.produced++
		}
		c.usage = c.usage.Fold(event)
		proposed[i] = commands.Proposed{ID: event.CheckID, Event: event, Meta: domain.Metadata{Actor: domain.ActorAPIClient, OccurredAt: now}}
	}
	appended, err := w.store.Append(w.t.Context(), domain.UsageStream(c.subscription.ID, c.usage.Month), c.revision, proposed)
	w.must(err)
	c.revision = int64(appended.Revision)
}

// settle waits until the read models show everything.
func (w *meteredWorld) settle() {
	w.t.Helper()
	for _, p := range []engine.Projection{projections.MeteringProjection(), projections.SubscriptionsProjection()} {
		if position := w.store.newestOf(p.Events); position > 0 {
			w.must(w.barrier.WaitFor(w.t.Context(), p.Name, position))
		}
	}
}

// watchedStore remembers where the newest event of each type stands.
type watchedStore struct {
	commands.EventStore
	mu     sync.Mutex
	newest map[string]uint64
}

// Append implements commands.EventStore.
func (s *watchedStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	appended, err := s.EventStore.Append(ctx, stream, expected, events)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, event := range events { // positions grow by one at least
			eventType := event.Event.EventType()
			s.newest[eventType] = max(s.newest[eventType], appended.Position-uint64(len(events)-1-i))
		}
	}
	return appended, err
}

func (s *watchedStore) newestOf(eventTypes []string) (position uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, eventType := range eventTypes {
		position = max(position, s.newest[eventType])
	}
	return position
}

// audit settles the accounts as `metering reconcile` does.
func (w *meteredWorld) audit() audit.Settlement {
	w.t.Helper()
	w.settle()
	replayed, err := auditing.Rules(w.t.Context(), eventstoredb.NewAuditedLog(w.client))
	w.must(err)
	settled := replayed.Settle()
	records, err := w.sim.Records(w.t.Context(), awssim.RecordFilter{})
	w.must(err)
	replayed.CompareWithAWS(&settled, billedUsage(records))
	overages, err := w.model.Overages(w.t.Context())
	w.must(err)
	settled.Findings = append(settled.Findings, compareOverages(settled.Accounts, overages)...)
	return settled
}

// take hands a message to the worker as the queue does.
func take(t *testing.T, r *reporting, body string) error {
	t.Helper()
	return r.take()(t.Context(), notifications.Message{ID: uuid.NewString(), Body: body, Receives: 1})
}

// breakableServer serves HTTP, or refuses connections, at one address.
type breakableServer struct {
	t       *testing.T
	addr    string
	handler http.Handler
	server  *http.Server
}

func newBreakableServer(t *testing.T, handler http.Handler) *breakableServer {
	s := &breakableServer{t: t, addr: awaittest.FreeAddress(t), handler: handler}
	s.mend()
	t.Cleanup(func() { s.split() })
	return s
}

// mend serves again. The port may still be closing, so it tries for a while.
func (s *breakableServer) mend() {
	if s.server != nil {
		return
	}
	var listener net.Listener
	eventually(s.t, "serve AWS", func() (err error) {
		listener, err = (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.addr)
		return err
	})
	s.server = &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
}

// split refuses connections from now on.
func (s *breakableServer) split() {
	if s.server != nil {
		_ = s.server.Close()
		s.server = nil
	}
}

// errKilled is what everything answers to a worker that was killed.
var errKilled = errors.New("the worker was killed")

// life is how many things a worker may do before it is killed.
type life struct {
	mu    sync.Mutex
	left  int
	after bool // the last thing is done, and the worker does not learn it
}

// spend takes one thing from a life: whether it is done, and whether the worker lives to see it.
func (l *life) spend() (done, seen bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left--
	return l.left > 0 || l.left == 0 && l.after, l.left > 0
}

// mortalStore and mortalMeter end with their worker's life, before or after something takes effect.
type mortalStore struct {
	commands.EventStore
	*life
}

// Append implements commands.EventStore.
func (s mortalStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	done, seen := s.spend()
	if !done {
		return commands.Appended{}, errKilled
	}
	appended, err := s.EventStore.Append(ctx, stream, expected, events)
	if !seen {
		return commands.Appended{}, errKilled
	}
	return appended, err
}

type mortalMeter struct {
	metering.UsageMeter
	*life
}

// MeterUsage implements metering.UsageMeter. What a killed worker would write down next is refused by its store.
func (m mortalMeter) MeterUsage(ctx context.Context, reports []metering.UsageReport) ([]metering.UsageAnswer, error) {
	done, _ := m.spend()
	if !done {
		answers := make([]metering.UsageAnswer, len(reports))
		for i := range answers {
			answers[i].Outcome = domain.MeteringNotSent
		}
		return answers, errKilled
	}
	return m.UsageMeter.MeterUsage(ctx, reports)
}

// worker starts a worker; with a life of 0 it is not killed.
func (w *meteredWorld) worker(things int) *metering.ProcessManager {
	w.t.Helper()
	config := w.meteringConfig()
	if things > 0 {
		life := &life{left: things, after: w.random.IntN(2) == 0}
		config.Store, config.Meter = mortalStore{w.store, life}, mortalMeter{w.buying, life}
	}
	return w.metering(config)
}

// meteringConfig is that of a worker that is not killed.
func (w *meteredWorld) meteringConfig() metering.Config {
	return metering.Config{
		Executor: w.executor(), Barrier: w.barrier, Catalogue: w.catalogue, Log: w.log,
		Model: w.model, Meter: w.buying, Region: "us-east-1",
	}
}

func (w *meteredWorld) metering(config metering.Config) *metering.ProcessManager {
	w.t.Helper()
	manager, err := metering.NewProcessManager(config)
	w.must(err)
	return manager
}

func (c *meteredCustomer) String() string { return fmt.Sprint(c.agreement.ID) }
