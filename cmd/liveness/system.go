package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
	"github.com/gorilla/mux"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/pas-ta/liveness/adapters/aws/mailevents"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/requestid"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/adapters/http/server"
	publishing "github.com/pas-ta/liveness/adapters/http/transparency"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/judge"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/notices"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/commands/transparency"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/lease"
)

// barrierTimeout is how long a screen waits for its read model, and Regenerate for all nodes.
const barrierTimeout = 10 * time.Second

// core is what every role needs: the log, the database and the commands over them.
type core struct {
	log      *slog.Logger
	registry *domain.Registry
	client   *eventstoredb.Client
	store    *eventstoredb.Store
	pool     *pgxpool.Pool
	vault    *postgres.Vault
	barrier  *engine.Barrier
	guard    *guard
	ring     commands.Keyring
	accounts *accounts.Commands
}

// openCore connects to the log and the database and migrates the latter. Close releases both.
func openCore(ctx context.Context, log *slog.Logger, eventStore, postgresURL string, ring commands.Keyring) (_ *core, err error) {
	c := &core{log: log, registry: domain.NewRegistry(), ring: ring}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err = c.connect(ctx, eventStore, postgresURL); err != nil {
		return nil, err
	}
	c.store = eventstoredb.NewStore(c.client, c.registry)
	if err := postgres.Migrate(ctx, c.pool); err != nil {
		return nil, err
	}
	if err := engine.Prepare(ctx, c.pool, projections.All()...); err != nil {
		return nil, fmt.Errorf("prepare the read models: %w", err)
	}
	if c.vault, err = postgres.NewVault(c.pool, ring); err != nil {
		return nil, err
	}
	c.barrier = engine.NewBarrier(c.pool, barrierTimeout)
	c.guard = &guard{pool: c.pool, source: eventstoredb.NewSource(c.client, c.registry, log), store: c.store, ring: ring, log: log}
	c.accounts, err = accounts.New(accounts.Config{
		Executor: c.executor(), Vault: c.vault, Barrier: c.barrier, Keyring: ring, Log: log,
	})
	return c, err
}

// connect connects to the log and the database side by side: who has both wrong is told of both at once.
func (c *core) connect(ctx context.Context, eventStore, postgresURL string) error {
	ctx, giveUp := context.WithCancelCause(ctx) // never because all went well: a pool goes on connecting
	connect := func(what, option string, connect func() error) (failed error) {
		defer tellSilence(c.log, what, option)()
		err := connect()
		if err == nil {
			return nil
		}
		time.AfterFunc(silenceTimeout, func() { giveUp(errSilent) }) // the start has failed: what hangs is not waited for to the end
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		return fmt.Errorf("%s: %w", option, err)
	}
	var store, database error
	var connecting sync.WaitGroup
	connecting.Go(func() {
		store = connect("the event store", "--eventstore", func() (err error) {
			c.client, err = openStore(ctx, c.log, eventStore, c.registry)
			return err
		})
	})
	connecting.Go(func() {
		database = connect("Postgres", "--postgres", func() (err error) {
			c.pool, err = postgres.Connect(ctx, postgresURL)
			return err
		})
	})
	connecting.Wait()
	return errors.Join(store, database)
}

// openStore connects to the log. It fails when the log will never be usable like this; one that is not available is waited
// for by whoever needs it, and the log says why.
func openStore(ctx context.Context, log *slog.Logger, address string, registry *domain.Registry) (*eventstoredb.Client, error) {
	client, err := eventstoredb.Connect(address, log)
	if err != nil {
		return nil, err
	}
	if err = client.Check(ctx); err == nil {
		err = client.CheckRights(ctx, unusedStreams(registry)...)
	}
	switch {
	case err == nil:
		return client, nil
	case errors.Is(err, commands.ErrStoreUnavailable):
		log.Warn("the event store is not available and is waited for", "option", "--eventstore", "error", err)
		return client, nil
	}
	return nil, errors.Join(err, client.Close())
}

// unusedStreams returns a name that no stream has, of each category that the product's streams are of.
func unusedStreams(registry *domain.Registry) []string {
	var streams []string
	seen := map[domain.Category]bool{}
	for _, schema := range registry.Schemas() {
		if !seen[schema.Category] {
			seen[schema.Category] = true
			streams = append(streams, string(schema.Category)+"-"+uuid.NewString())
		}
	}
	return streams
}

// register has Prometheus see what all roles tell: how log, database and read models stand, and what operators do.
func (c *core) register(metrics prometheus.Registerer, models *engine.Engine) error {
	return registerOnce(metrics, append(c.client.Metrics(),
		postgres.NewPoolMetrics(c.pool), newProjectionMetrics(models, c.log), newOperatorMetrics(c.pool, c.log))...)
}

// executor is what commands run with.
func (c *core) executor() commands.Executor { return commands.Executor{Store: c.store, Now: time.Now} }

func (c *core) registration(marketplace subscriptions.Marketplace, productCode string) *subscriptions.Registration {
	return &subscriptions.Registration{
		Commands: subscriptions.Commands{Executor: c.executor()}, Catalogue: catalogue(), Marketplace: marketplace, ProductCode: productCode,
	}
}

func (c *core) close() {
	if c.client != nil {
		if err := c.client.Close(); err != nil {
			c.log.Error("event store client did not close cleanly", "error", err)
		}
	}
	if c.pool != nil {
		c.pool.Close()
	}
}

// site is the role that answers requests: the API, the console and the registration page.
type site struct {
	server   *server.Server
	counter  *counting.UsageCounter
	failures *postgres.FailedCalls
	rehasher *counting.KeyRehasher
}

// close ends the counting of calls. No request is being answered any more.
func (s *site) close() {
	s.counter.Close()
	s.failures.Close()
	s.rehasher.Close()
}

// siteConfig is what the site needs besides the core.
type siteConfig struct {
	flags       SiteFlags
	limits      LimitFlags
	publicURL   *url.URL
	engine      *openedEngine
	marketplace subscriptions.Marketplace
	productCode string
	listingURL  string
	assetsDir   string
	metrics     prometheus.Registerer
	security    *slog.Logger         // nil writes what may be an attack to the log
	tracing     trace.TracerProvider // nil makes no spans

	transparency TransparencyFlags
	drain        time.Duration // of the server before it stops
}

func (c *core) openSite(cfg siteConfig) (*site, error) {
	c.log.Info("photos are judged", "decoder", cfg.engine.Decoder(), "pack", cfg.engine.Pack().ID)
	judging := judge.New(cfg.engine.Engine)
	usage, keys := projections.NewUsage(c.pool), projections.NewAPIKeys(c.pool)
	counter := counting.NewUsageCounter(c.store, usage, time.Now, c.log)
	history := projections.NewKeyHistory(c.pool, c.vault)
	failures := postgres.NewFailedCalls(c.pool, history, c.ring, c.log)
	security, err := securitylog.New(cmp.Or(cfg.security, c.log), c.ring, cfg.metrics)
	if err != nil {
		return nil, err
	}
	models, err := c.observeReadModels()
	if err != nil {
		return nil, err
	}
	if err := c.register(cfg.metrics, models); err != nil {
		return nil, err
	}
	authenticator, rehasher := counting.NewKeyAuthenticator(keys, c.ring, time.Now), counting.NewKeyRehasher(c.executor(), c.log)
	authenticator.Rehash = rehasher.Offer
	api, err := v1.New(v1.Config{
		Security:       security,
		ErrorDocs:      cfg.publicURL.String() + apidocs.ErrorsPrefix,
		Version:        apiVersion,
		Keys:           authenticator,
		Checks:         counting.NewLivenessChecker(counter, judging, c.ring, time.Now),
		Catalogue:      catalogue(),
		Queue:          judging,
		Failures:       failures,
		Components:     append(c.components(), readModelsComponent(models), decoderComponent(cfg.engine.Engine), judgingComponent(cfg.engine)),
		StoreTrouble:   c.client.Trouble,
		Limits:         cfg.limits.api(cfg.flags),
		TrustedProxies: cfg.flags.Proxies,
		Now:            time.Now, Log: c.log, Registerer: cfg.metrics, Tracing: cfg.tracing,
	})
	if err != nil {
		return nil, err
	}
	if err := registerOnce(cfg.metrics, api.ComponentMetrics(), judging.Metrics()); err != nil {
		return nil, err
	}
	if err := registerReplacements(cfg.metrics, cfg.engine); err != nil {
		return nil, err
	}
	prices, err := cfg.flags.prices()
	if err != nil {
		return nil, err
	}
	logins := console.LoginLimits{Idle: cfg.flags.SessionIdle, Lifetime: cfg.flags.SessionLifetime}
	untaken := fairshare.NewPool(console.UntakenProofs, fairshare.NewestFirst)
	screens, err := console.New(console.Config{
		Security:      security,
		Accounts:      c.accounts,
		Subscriptions: subscriptions.Commands{Executor: c.executor()},
		Registration:  c.registration(cfg.marketplace, cfg.productCode),
		Mails:         postgres.NewMailStates(c.pool, nil, c.log),
		Barrier:       c.barrier,
		Lateness:      engine.NewLateness(models),
		Catalogue:     catalogue(),
		Models: console.ReadModels{
			Usage: usage, Keys: keys, Subscriptions: projections.NewSubscriptions(c.pool),
			Accounts: projections.NewAccounts(c.pool, c.vault), Activity: projections.NewActivity(c.pool), Members: projections.NewMembers(c.pool, c.vault), Metering: projections.NewMetering(c.pool),
			Failures: postgres.NewFailedCallQueries(c.pool), KeyNames: history, Traffic: projections.NewTraffic(c.pool),
		},
		Sessions: pgxstore.NewWithCleanupInterval(c.pool, 10*time.Minute),
		Attempts: console.NewPostgresAttempts(c.pool), Judge: judging,
		Logins: console.NewPostgresLogins(c.pool, logins), LoginLimits: logins,
		Proofs:          newExporter(eventstoredb.NewSource(c.client, c.registry, c.log), projections.NewTransparency(c.pool), c.ring),
		Untaken:         untaken,
		OverLimitPrices: prices,
		AssetsDir:       cfg.assetsDir, PublicURL: cfg.publicURL, Keyring: c.ring,
		SupportMail: cfg.flags.Support, MarketplaceURL: cfg.listingURL, TrustedProxies: cfg.flags.Proxies, Now: time.Now, Log: c.log,
	})
	if err != nil {
		return nil, err
	}
	documentation, err := apidocs.New(cfg.publicURL)
	if err != nil {
		return nil, err
	}
	handler := routes(api, screens, documentation, c.transparencyLog(cfg.transparency))
	limits := cfg.limits.server(cfg.flags.Proxies)
	limits.Drain = cfg.drain
	serving := newServer(cfg.publicURL, handler, limits, c.log)
	serving.RefuseWith(refusals(api.Refusal(), documentation))
	for _, collector := range []prometheus.Collector{
		cfg.limits.metrics(), fairshare.NewMetrics("connections", serving.Connections()), fairshare.NewMetrics("proofs", untaken),
	} {
		if err := cfg.metrics.Register(collector); err != nil {
			return nil, fmt.Errorf("register the metrics of what is shared: %w", err)
		}
	}
	return &site{server: serving, counter: counter, failures: failures, rehasher: rehasher}, nil
}

// newServer returns the server of a site that is reached at an address.
func newServer(public *url.URL, site http.Handler, limits server.Limits, log *slog.Logger) *server.Server {
	s := server.New(site, limits, log)
	if public.Scheme == "https" {
		s.StrictTransport()
	}
	return s
}

// documentation serves what it says that it serves.
type documentation interface {
	http.Handler
	Serves(r *http.Request) bool
}

// routes parts the site between the API, the screens, the documentation and the transparency log, which may be nil. Addresses are taken as they are:
// http.ServeMux would answer one with a doubled slash by a redirect, in HTML, that turns a POST of some clients into a GET.
func routes(api, screens http.Handler, docs documentation, transparencyLog http.Handler) http.Handler {
	router := mux.NewRouter().SkipClean(true)
	part := func(name string, serves func(*http.Request) bool, handler http.Handler) {
		router.MatcherFunc(func(r *http.Request, _ *mux.RouteMatch) bool { return serves(r) }).Handler(requestid.Handler(name, handler))
	}
	part("documentation", docs.Serves, docs)
	if transparencyLog != nil {
		part("transparency log", publishing.Serves, transparencyLog)
	}
	part("console", console.Serves, screens)
	router.PathPrefix("/").Handler(api) // everything else is not found, in the API's words
	return router
}

// refusals parts what is said to whom there is no room for: people are told in a sentence, programs in the API's words.
func refusals(api http.Handler, docs documentation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if console.Serves(r) || docs.Serves(r) {
			requestid.Handler("refusal", server.Refusal).ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// worker is the role that follows the log: read models, and what events call for outside of it.
type worker struct {
	projections *engine.Engine
	mailing     mailing
	components  *postgres.ComponentStates
	mails       *postgres.MailStates
	usage       *notices.UsageNotifier
	noticing    commands.Lease          // of the usage notifier
	leases      *lease.Session          // of all that takes turns here
	mailEvents  *notifications.Consumer // nil without a queue
	log         *slog.Logger
	reporting   *reporting // nil when usage is not reported
	checkpoints *transparency.CheckpointSigner
}

// accountMails sends through mailer, the mail of each event once, and keeps what becomes of it.
func (c *core) accountMails(mailer accounts.Mailer, site *url.URL, support string) (*accounts.Mails, error) {
	once := postgres.NewSentMails(c.pool, mailer, c.log)
	return accounts.NewMails(c.accounts, postgres.NewMailStates(c.pool, once, c.log), site, support)
}

// openWorker prepares the worker. Without a product code nothing is reported to AWS, and a warning says so.
func (c *core) openWorker(
	mails *accounts.Mails, usage reportingConfig, log TransparencyFlags, metrics prometheus.Registerer,
) (*worker, error) {
	source := eventstoredb.NewSource(c.client, c.registry, c.log)
	models, err := engine.New(engine.Config{
		Pool: c.pool, Source: source, Projections: projections.All(), Log: c.log, Barrier: c.barrier,
	})
	if err != nil {
		return nil, err
	}
	if err := c.register(metrics, models); err != nil {
		return nil, err
	}
	components := append(c.components(), readModelsComponent(models))
	if err := registerOnce(metrics, newForeignEvents(source), v1.ComponentMetrics(components, time.Now, c.log)); err != nil {
		return nil, err
	}
	states := postgres.NewMailStates(c.pool, nil, c.log)
	mailing, err := c.openMailing(mails, states, metrics)
	if err != nil {
		return nil, err
	}
	if err := registerOnce(metrics, newMailMetrics(states, c.log)); err != nil {
		return nil, err
	}
	w := &worker{projections: models, mailing: mailing, components: postgres.NewComponentStates(c.pool), mails: states, log: c.log,
		leases: lease.NewSession(c.pool, turnRetry, c.log)}
	w.usage, w.noticing = notices.NewUsageNotifier(c.executor(), projections.NewUsage(c.pool), c.log), lease.NewLeader(w.leases, "usage notices")
	if w.checkpoints, err = c.checkpointSigner(log, metrics); err != nil {
		return nil, err
	}
	if usage.productCode == "" {
		c.log.Warn("no product code is configured: usage is not reported to AWS and agreements are not followed")
		return w, nil
	}
	w.reporting, err = c.openReporting(usage, w.leases, metrics)
	return w, err
}

// turnRetry is how often work is asked for that another node does.
const turnRetry = 2 * time.Second

// usageNoticeInterval is how often thresholds of usage are looked for.
const usageNoticeInterval = 2 * time.Second

// followMailEvents has the worker read what SES tells of mails from a queue.
func (w *worker) followMailEvents(cfg aws.Config, queue notifications.Settings) error {
	var err error
	w.mailEvents, err = notifications.NewConsumer(cfg, queue, w.log)
	return err
}

// returned keeps that a mail came back.
func (w *worker) returned(ctx context.Context, mail uuid.UUID, why accounts.UndeliverableError) error {
	known, err := w.mails.Return(ctx, mail, why)
	if err == nil {
		w.log.InfoContext(ctx, "a mail came back", "mail", mail, "cause", why.Cause, "known", known)
	}
	return err
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) error {
	defer w.leases.Close(ctx)
	tasks := []func(context.Context) error{w.projections.Run, w.mailing.run, func(ctx context.Context) error {
		w.leases.Watch(ctx)
		return nil
	}, func(ctx context.Context) error {
		return reportComponent(ctx, w.components, componentMails, w.mailing, w.log)
	}}
	tasks = append(tasks, func(ctx context.Context) error { return w.usage.Run(ctx, w.noticing, usageNoticeInterval) })
	tasks = append(tasks, func(ctx context.Context) error { return w.checkpoints.Run(ctx, checkpointLook) }, func(ctx context.Context) error {
		return reportComponent(ctx, w.components, componentTransparency, w.checkpoints, w.log)
	})
	if w.mailEvents != nil {
		tasks = append(tasks, func(ctx context.Context) error { return w.mailEvents.Run(ctx, mailevents.Handler(w.returned)) })
	}
	if w.reporting != nil {
		tasks = append(tasks, w.reporting.run)
	}
	return runAll(ctx, tasks...)
}

// serveHTTP serves until ctx ends, then lets requests under way finish.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	return server.New(handler, server.Limits{}, log).Serve(ctx, listener)
}

// runAll runs every task until the first fails or ctx ends, and waits for all of them.
func runAll(ctx context.Context, tasks ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(tasks))
	for _, task := range tasks {
		go func() { results <- task(ctx) }()
	}
	var errs []error
	for range tasks {
		if err := <-results; err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
			cancel()
		}
	}
	return errors.Join(errs...)
}
