package console_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const testSecret = "a secret of at least 32 bytes, for tests"

// world is the console over the real commands, the real read models and a real Postgres. The event store is in memory;
// AWS Marketplace and the mail service are at the other end of a port.
type world struct {
	t        testing.TB
	url      string
	clock    *clock
	store    *followedStore
	accounts *accounts.Commands
	market   *marketplace
	mails    *mailbox
	states   *postgres.MailStates
	pool     *pgxpool.Pool
	judge    *stubbornJudge
}

// stubbornJudge says the same of every photo, or fails.
type stubbornJudge struct {
	says  domain.Judgement
	fails error
	asked int
}

func (j *stubbornJudge) Judge(context.Context, []byte, string) (domain.Judgement, error) {
	j.asked++
	return j.says, j.fails
}

func newWorld(t testing.TB) *world {
	t.Helper()
	clock := newClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	w := &world{t: t, clock: clock, store: newFollowedStore(clock.Now), pool: database(t), market: newMarketplace(), judge: &stubbornJudge{}}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	vault, err := postgres.NewVault(w.pool, []byte(testSecret))
	must(t, err)
	barrier := engine.NewBarrier(w.pool, 20*time.Second)
	w.accounts, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: w.store, Now: clock.Now}, Vault: vault, Barrier: barrier, Secret: []byte(testSecret), Log: log,
	})
	must(t, err)
	models, err := engine.New(engine.Config{
		Pool: w.pool, Source: w.store, Projections: projections.All(), Log: log, Barrier: barrier,
		LeaseRetry: 20 * time.Millisecond, FaultPause: 20 * time.Millisecond,
	})
	must(t, err)
	w.run(models.Run)

	w.mails = &mailbox{}
	w.states = postgres.NewMailStates(w.pool, w.mails, log)

	var handler atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.url = server.URL
	public, err := url.Parse(server.URL)
	must(t, err)
	assets, err := parts.New(parts.Options{}).ConsoleAssets(t.Context())
	must(t, err)
	site, err := console.New(console.Config{
		Accounts: w.accounts, Subscriptions: w.subscriptions(),
		Registration: &subscriptions.Registration{
			Commands: w.subscriptions(), Catalogue: domain.DefaultCatalogue(), Marketplace: w.market, ProductCode: productCode,
		},
		Mails:           w.states,
		OverLimitPrices: map[domain.PlanID]domain.CallPrice{domain.PlanStarter: 250_000},
		Barrier:         barrier, Catalogue: domain.DefaultCatalogue(),
		Models: console.ReadModels{
			Usage: projections.NewUsage(w.pool), Keys: projections.NewAPIKeys(w.pool), Subscriptions: projections.NewSubscriptions(w.pool),
			Accounts: projections.NewAccounts(w.pool, vault), Activity: projections.NewActivity(w.pool), Members: projections.NewMembers(w.pool, vault), Metering: projections.NewMetering(w.pool),
			Failures: postgres.NewFailedCallQueries(w.pool), KeyNames: projections.NewKeyHistory(w.pool, vault), Traffic: projections.NewTraffic(w.pool),
		},
		Sessions: pgxstore.NewWithCleanupInterval(w.pool, 0), Attempts: console.NewPostgresAttempts(w.pool),
		Generations: console.NewPostgresSessionGenerations(w.pool), Judge: w.judge, AssetsDir: assets, PublicURL: public,
		Secret: []byte(testSecret), SupportMail: "support@example.com", MarketplaceURL: "https://aws.amazon.com/marketplace/", Now: clock.Now, Log: log,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	must(t, err)
	handler.Store(&site)
	w.mails.handler, err = accounts.NewMails(w.accounts, w.states, public, "support@example.com")
	must(t, err)
	return w
}

func (w *world) subscriptions() subscriptions.Commands {
	return subscriptions.Commands{Executor: w.accounts.Executor}
}

// run keeps work going until the test ends.
func (w *world) run(work func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("background work: %v", err)
		}
	})
}

func database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	address := pgtest.Clone(t, "migrated", func(ctx context.Context, address string) error {
		pool, err := postgres.Connect(ctx, address)
		if err != nil {
			return err
		}
		defer pool.Close()
		return postgres.Migrate(ctx, pool)
	})
	pool, err := postgres.Connect(t.Context(), address)
	must(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is a time that tests move.
type clock struct{ now atomic.Pointer[time.Time] }

func newClock(start time.Time) *clock {
	c := &clock{}
	c.now.Store(&start)
	return c
}

func (c *clock) Now() time.Time { return *c.now.Load() }

func (c *clock) advance(by time.Duration) {
	moved := c.Now().Add(by)
	c.now.Store(&moved)
}

const productCode = "prod-liveness"

// marketplace knows buyers by token.
type marketplace struct {
	mu      sync.Mutex
	buyers  map[string]domain.MarketplaceIdentity
	bought  map[string][]domain.ContractEntitlement // by licence
	failure error
}

func newMarketplace() *marketplace {
	return &marketplace{buyers: map[string]domain.MarketplaceIdentity{}, bought: map[string][]domain.ContractEntitlement{}}
}

// sell makes a token of somebody who has bought a plan.
func (m *marketplace) sell(dimension string, quantity int64) (token string, identity domain.MarketplaceIdentity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	licence := strings.ReplaceAll(uuid.NewString(), "-", "")
	identity = domain.MarketplaceIdentity{
		AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:us-east-1:123456789012:license:l-" + licence, ProductCode: productCode,
	}
	token = "token-" + licence
	m.buyers[token] = identity
	m.bought[identity.LicenseARN] = []domain.ContractEntitlement{{Dimension: dimension, Quantity: quantity}}
	return token, identity
}

func (m *marketplace) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

func (m *marketplace) ResolveBuyer(_ context.Context, token string) (domain.MarketplaceIdentity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	identity, known := m.buyers[token]
	switch {
	case m.failure != nil:
		return identity, m.failure
	case strings.HasPrefix(token, "expired"):
		return identity, subscriptions.ErrTokenExpired
	case !known:
		return identity, subscriptions.ErrTokenInvalid
	}
	return identity, nil
}

func (m *marketplace) Entitlements(_ context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bought[identity.LicenseARN], m.failure
}

// mailbox gets the mails that events call for, when a test looks into it.
type mailbox struct {
	handler *accounts.Mails
	read    int

	mu      sync.Mutex
	mails   []accounts.Mail
	refusal error // of whatever is sent, while it is set
}

func (m *mailbox) refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusal = err
}

func (m *mailbox) Send(_ context.Context, mail accounts.Mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusal != nil {
		return m.refusal
	}
	m.mails = append(m.mails, mail)
	return nil
}

// newest delivers what is due and gives the newest mail to an address whose subject contains a text.
func (w *world) newestMail(to, subject string) (accounts.Mail, bool) {
	w.t.Helper()
	all, err := w.store.All()
	must(w.t, err)
	for ; w.mails.read < len(all); w.mails.read++ {
		if err := w.mails.handler.HandleRecorded(w.t.Context(), all[w.mails.read]); err != nil && !accounts.Undeliverable(err) {
			w.t.Fatal(err)
		}
	}
	w.mails.mu.Lock()
	defer w.mails.mu.Unlock()
	for _, mail := range slices.Backward(w.mails.mails) {
		if mail.To == to && strings.Contains(mail.Subject, subject) {
			return mail, true
		}
	}
	return accounts.Mail{}, false
}

// mailedLink returns the path and query of the link in the newest mail.
func (w *world) mailedLink(to, subject string) string {
	w.t.Helper()
	mail, ok := w.newestMail(to, subject)
	if !ok {
		w.t.Fatalf("no mail %q was sent to %s", subject, to)
	}
	_, rest, found := strings.Cut(mail.Text, w.url)
	if !found {
		w.t.Fatalf("the mail holds no link to us:\n%s", mail.Text)
	}
	link, _, _ := strings.Cut(rest, "\n")
	return link
}

// followedStore is the event store in memory, with the log that projections follow.
type followedStore struct {
	*memorystore.Store

	mu    sync.Mutex
	grown chan struct{} // closed when events are appended
}

func newFollowedStore(now func() time.Time) *followedStore {
	return &followedStore{Store: memorystore.New(now), grown: make(chan struct{})}
}

func (s *followedStore) Append(ctx context.Context, stream string, expected int64, events []commands.Proposed) (commands.Appended, error) {
	appended, err := s.Store.Append(ctx, stream, expected, events)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.grown)
	s.grown = make(chan struct{})
	return appended, err
}

func (s *followedStore) growth() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}
