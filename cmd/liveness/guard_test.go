package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

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

// An older backup of the log that is put in the place of the log, and has grown beyond what the read models have seen by the time
// that anybody looks, is refused by who runs and by who starts, until the read models are made anew from it.
func TestOlderLogThatHasGrownIsRefusedUntilRebuilt(t *testing.T) {
	t.Parallel()
	log, subscription := slog.New(slog.DiscardHandler), uuid.New()
	dir, backup := t.TempDir(), t.TempDir()
	running := nodetest.Start(t, node.Config{Dir: dir, Logger: log})
	addr := running.Addr()
	r := &readModels{flags: ReadModelFlags{LogFlags: LogFlags{EventStore: running.ConnectionString()}, Postgres: pgtest.Database(t)}}
	core, err := openCore(t.Context(), log, r.flags.EventStore, r.flags.Postgres, commands.OneSecret(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	defer core.close()
	r.store, r.source, r.pool = core.store, eventstoredb.NewSource(core.client, core.registry, log), core.pool
	if r.engine, err = engine.New(engine.Config{Pool: r.pool, Source: r.source, Projections: projections.All(), Log: log}); err != nil {
		t.Fatal(err)
	}
	exchange := func(before *node.Node, dir string) *node.Node {
		t.Helper()
		if err := before.Close(); err != nil {
			t.Fatal(err)
		}
		return nodetest.Start(t, node.Config{Addr: addr, Dir: dir, Logger: log})
	}

	started := domain.SubscriptionStarted{SubscriptionID: subscription, CustomerID: domain.CustomerIDForSubscription(subscription), Plan: domain.PlanEnterprise, Limit: 1 << 40}
	if _, err := r.store.Append(t.Context(), domain.SubscriptionStream(subscription), commands.NoStream, []commands.Proposed{{ID: uuid.New(), Event: started}}); err != nil {
		t.Fatal(err)
	}
	r.count(t, subscription, 0, 3)
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	running = nodetest.Start(t, node.Config{Addr: addr, Dir: dir, Logger: log})
	eventually(t, "the node is found again", func() error { return core.client.Ping(t.Context()) })
	last := r.count(t, subscription, 3, 5)
	stop := r.maintain(t)
	for _, p := range projections.All() {
		r.waitFor(t, p.Name, last)
	}
	stop()
	if err := core.guard.begin(t.Context(), restoreAdvice); err != nil {
		t.Fatalf("the log that the read models were made from: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	guarding := make(chan error, 1)
	go func() { guarding <- core.guard.run(ctx) }()
	defer func() {
		cancel()
		if err := <-guarding; err != nil {
			t.Error(err)
		}
	}()

	running = exchange(running, backup)
	restored, err := eventstoredb.Connect(running.ConnectionString(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = restored.Close() }()
	grown := &readModels{store: eventstoredb.NewStore(restored, domain.NewRegistry())}
	grown.count(t, subscription, 3, 80)
	eventually(t, "the log is refused", func() error {
		if err := core.guard.check(); !errors.Is(err, engine.ErrOtherLog) {
			return errNotYet
		}
		return nil
	})
	refused := []commands.Proposed{{ID: uuid.New(), Event: started}}
	if _, err := r.store.Append(t.Context(), domain.SubscriptionStream(uuid.New()), commands.NoStream, refused); !errors.Is(err, commands.ErrStoreDown) {
		t.Errorf("an append: %v, want %v", err, commands.ErrStoreDown)
	}
	if _, err := r.store.Read(t.Context(), domain.SubscriptionStream(subscription), 0, 1); !errors.Is(err, commands.ErrStoreDown) {
		t.Errorf("a read: %v, want %v", err, commands.ErrStoreDown)
	}
	if err := core.checkStore(t.Context()); !errors.Is(err, engine.ErrOtherLog) {
		t.Errorf("health says %v", err)
	}
	if err := core.guard.begin(t.Context(), restoreAdvice); err == nil || !strings.Contains(err.Error(), "liveness projections rebuild`") {
		t.Errorf("who starts is told %v", err)
	}

	for _, p := range projections.All() {
		if _, err := r.engine.Rebuild(t.Context(), p.Name, nil); err != nil {
			t.Fatalf("rebuild %s: %v", p.Name, err)
		}
	}
	eventually(t, "the log is used again", core.guard.check)
	if _, err := r.store.Append(t.Context(), domain.SubscriptionStream(uuid.New()), commands.NoStream, refused); err != nil {
		t.Errorf("an append after the rebuild: %v", err)
	}
}

// A node with other secrets than those that the database was written with does not start, and says which file to bring.
func TestNodeWithOtherSecretsDoesNotStart(t *testing.T) {
	t.Parallel()
	store, database := nodetest.Start(t, node.Config{}).ConnectionString(), pgtest.Database(t)
	one, other := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "other")
	for n, file := range []string{one, other} {
		if err := os.WriteFile(file, fmt.Appendf(nil, "%x", sha256.Sum256([]byte{byte(n)})), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(file string) error {
		t.Helper()
		ring, err := SecretFlags{SecretFile: file}.secrets(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		core, err := openCore(t.Context(), slog.New(slog.DiscardHandler), store, database, ring)
		if err != nil {
			t.Fatal(err)
		}
		defer core.close()
		return core.guard.begin(t.Context(), restoreAdvice)
	}
	if err := begin(one); err != nil {
		t.Fatalf("the first node: %v", err)
	}
	if err := begin(other); !errors.Is(err, postgres.ErrOtherSecrets) {
		t.Errorf("a node with another secret: %v", err)
	}
	settings := []string{"--eventstore", store, "--postgres", database, "--secret-file", other, "--product-code", "code"}
	for _, command := range []string{"serve", "work"} {
		line := append([]string{command, "--public-url", "http://127.0.0.1:8080"}, settings...)
		if command == "work" {
			line = append(line, "--mail-from", "no-reply@example.com")
		}
		if status, _, errOut := runLine(line...); status != exitFailure || !strings.Contains(errOut, "--secret-file") || !strings.Contains(errOut, "is another") {
			t.Errorf("%s with another secret: %d, %s", command, status, errOut)
		}
	}
	if err := begin(one); err != nil {
		t.Errorf("with the secret of before: %v", err)
	}
}
