// Package consoletest is the world that tests of the console stand in, and the client that they use it with: Client without scripts,
// World.Chromium a real browser. The tests of a real browser are in the folders below browsertest.
package consoletest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/proofs"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/commands/transparency"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

var loginLimits = console.LoginLimits{Idle: 30 * time.Minute, Lifetime: 12 * time.Hour}

// Secret is the server's.
const Secret = "a secret of at least 32 bytes, for tests"

// World is the console over the real commands, the real read models and a real Postgres. The event store is in memory;
// AWS Marketplace and the mail service are at the other end of a port.
type World struct {
	t        testing.TB
	URL      string
	Clock    *commandstest.Clock
	Store    *Log
	Accounts *accounts.Commands
	Market   *Marketplace
	Mails    *Mailbox
	States   *postgres.MailStates
	Pool     *pgxpool.Pool
	Judge    *Judge
	Security *commandstest.Lines
	Proofs   *Proofs
	Untaken  *fairshare.Pool // of bytes of proofs

	barrier  barrier
	lateness lateness
}

// Proofs makes proofs that are as long as a test needs them to be.
type Proofs struct {
	proofs.Exporter
	Length int // in bytes, at least
}

// Export implements console.Proofs.
func (p *Proofs) Export(ctx context.Context, of proofs.Month) (proofs.Proof, error) {
	made, err := p.Exporter.Export(ctx, of)
	made.Content = append(made.Content, make([]byte, max(0, p.Length-len(made.Content)))...)
	return made, err
}

// Judge says the same of every photo, or fails.
type Judge struct {
	Says  domain.Judgement
	Fails error
	Asked int
}

// Judge implements counting.Judge.
func (j *Judge) Judge(context.Context, counting.Share, []byte, string) (domain.Judgement, error) {
	j.Asked++
	return j.Says, j.Fails
}

// New starts a world that ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	clock := commandstest.NewClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	w := &World{
		t: t, Clock: clock, Store: newLog(clock.Now), Pool: Database(t), Market: newMarketplace(), Judge: &Judge{},
		Security: &commandstest.Lines{}, Untaken: fairshare.NewPool(64<<20, fairshare.NewestFirst),
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	vault, err := postgres.NewVault(w.Pool, commands.OneSecret(Secret))
	Must(t, err)
	models := engine.NewBarrier(w.Pool, time.Minute)
	barrier := &w.barrier
	barrier.Barrier = models
	w.Accounts, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: w.Store, Now: clock.Now}, Vault: vault, Barrier: barrier, Keyring: commands.OneSecret(Secret), Log: log,
		PasswordCost: commandstest.CheapPasswords,
	})
	Must(t, err)
	security, err := securitylog.New(slog.New(slog.NewTextHandler(w.Security, nil)), commands.OneSecret(Secret), nil)
	Must(t, err)
	maintained, err := engine.New(engine.Config{
		Pool: w.Pool, Source: w.Store, Projections: projections.All(), Log: log, Barrier: models,
		LeaseRetry: 20 * time.Millisecond, FaultPause: 20 * time.Millisecond,
	})
	Must(t, err)
	w.run(maintained.Run)
	w.lateness.models = maintained

	w.Mails = &Mailbox{}
	w.States = postgres.NewMailStates(w.Pool, w.Mails, log)
	w.Proofs = &Proofs{Exporter: proofs.Exporter{
		Log: w.Store, Tree: projections.NewTransparency(w.Pool), Keys: keyring.CheckpointSigners(commands.OneSecret(Secret)),
		Catalogue: domain.DefaultCatalogue(), Now: clock.Now,
	}}

	var handler atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.URL = server.URL
	public, err := url.Parse(server.URL)
	Must(t, err)
	assets, err := parts.New(parts.Options{}).ConsoleAssets(t.Context())
	Must(t, err)
	site, err := console.New(console.Config{
		Accounts: w.Accounts, Subscriptions: w.Subscriptions(),
		Registration: &subscriptions.Registration{
			Commands: w.Subscriptions(), Catalogue: domain.DefaultCatalogue(), Marketplace: w.Market, ProductCode: productCode,
		},
		Mails:  w.States,
		Proofs: w.Proofs, Untaken: w.Untaken,
		OverLimitPrices: map[domain.PlanID]domain.CallPrice{domain.PlanStarter: 250_000},
		Barrier:         barrier, Lateness: &w.lateness, Catalogue: domain.DefaultCatalogue(),
		Models: console.ReadModels{
			Usage: projections.NewUsage(w.Pool), Keys: projections.NewAPIKeys(w.Pool), Subscriptions: projections.NewSubscriptions(w.Pool),
			Accounts: projections.NewAccounts(w.Pool, vault), Activity: projections.NewActivity(w.Pool), Members: projections.NewMembers(w.Pool, vault), Metering: projections.NewMetering(w.Pool),
			Failures: postgres.NewFailedCallQueries(w.Pool), KeyNames: projections.NewKeyHistory(w.Pool, vault), Traffic: projections.NewTraffic(w.Pool),
		},
		Sessions: pgxstore.NewWithCleanupInterval(w.Pool, 0), Attempts: console.NewPostgresAttempts(w.Pool),
		Logins: console.NewPostgresLogins(w.Pool, loginLimits), LoginLimits: loginLimits, Judge: w.Judge, AssetsDir: assets, PublicURL: public,
		Keyring: commands.OneSecret(Secret), SupportMail: "support@example.com", MarketplaceURL: "https://aws.amazon.com/marketplace/", Security: security, Now: clock.Now, Log: log,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	Must(t, err)
	handler.Store(&site)
	w.Mails.handler, err = accounts.NewMails(w.Accounts, w.States, public, "support@example.com")
	Must(t, err)
	return w
}

// Subscriptions returns the commands on subscriptions.
func (w *World) Subscriptions() subscriptions.Commands {
	return subscriptions.Commands{Executor: w.Accounts.Executor}
}

// Sign signs a checkpoint of the log, as the worker does.
func (w *World) Sign() {
	w.t.Helper()
	w.Settled()
	signer, err := transparency.NewCheckpointSigner(transparency.SignerConfig{
		Executor: w.Accounts.Executor, Tree: projections.NewTransparency(w.Pool), Keys: keyring.CheckpointSigners(commands.OneSecret(Secret)),
		Origin: "liveness-log", Log: slog.New(slog.DiscardHandler), CatchUp: func(context.Context) error { w.Settled(); return nil },
	})
	Must(w.t, err)
	signed, err := signer.SignCheckpoint(w.t.Context())
	Must(w.t, err)
	if !signed {
		w.t.Fatal("no checkpoint was signed")
	}
	w.Settled()
}

// Settled waits until all read models show everything that are not held back.
func (w *World) Settled() {
	w.t.Helper()
	head, err := w.Store.Head(w.t.Context())
	Must(w.t, err)
	for _, p := range projections.All() {
		if _, held := w.barrier.held.Load(p.Name); held {
			continue
		}
		Must(w.t, engine.NewBarrier(w.Pool, time.Minute).WaitFor(w.t.Context(), p.Name, head))
	}
}

// barrier waits for no read model that is held back: nobody would be served before the test lets go of it.
type barrier struct {
	*engine.Barrier
	held sync.Map
}

// WaitFor implements commands.Barrier.
func (b *barrier) WaitFor(ctx context.Context, readModel string, position uint64) error {
	if _, held := b.held.Load(readModel); held {
		return fmt.Errorf("read model %s is held back: %w", readModel, context.DeadlineExceeded)
	}
	return b.Barrier.WaitFor(ctx, readModel, position)
}

// lateness is asked from TellLateness on: events of the clock's time are old at once, so that a read model that is about to apply
// them would be late.
type lateness struct {
	models *engine.Engine
	asked  atomic.Pointer[engine.Lateness]
}

// Late implements console.Lateness.
func (l *lateness) Late(ctx context.Context, readModel string) bool {
	asked := l.asked.Load()
	return asked != nil && asked.Late(ctx, readModel)
}

// TellLateness has screens say from now on that a read model is late.
func (w *World) TellLateness() { w.lateness.asked.Store(engine.NewLateness(w.lateness.models)) }

// HoldBack keeps a read model as it is until release is called, and all others go on.
func (w *World) HoldBack(readModel string) (release func()) {
	w.t.Helper()
	w.Settled()
	conn, err := pgx.ConnectConfig(w.t.Context(), w.Pool.Config().ConnConfig)
	Must(w.t, err)
	_, err = conn.Exec(w.t.Context(), "begin")
	Must(w.t, err)
	_, err = conn.Exec(w.t.Context(), "select from projection_checkpoints where name = $1 for update", readModel)
	Must(w.t, err)
	w.barrier.held.Store(readModel, true)
	return func() {
		w.barrier.held.Delete(readModel)
		Must(w.t, conn.Close(context.WithoutCancel(w.t.Context())))
	}
}

// run keeps work going until the test ends.
func (w *World) run(work func(context.Context) error) {
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

// Database returns an empty database with the tables of today.
func Database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	// As few connections as do: a world would open a dozen, and each takes the server tens of milliseconds to begin.
	return pgtest.Connect(t, pgtest.Migrated(t)+"&pool_max_conns=4")
}

// Must fails the test for an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
