package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/judge"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/pack"
)

// checkable is the API before a real engine, over an event store in memory, for one subscription whose key is any.
type checkable struct {
	api    http.Handler
	engine *inference.Engine
	store  *memorystore.Store
	owner  counting.KeyOwner

	seconds atomic.Int64 // of the API's clock
}

type anyKey struct{ owner counting.KeyOwner }

func (k anyKey) AuthenticateKey(context.Context, string) (counting.KeyOwner, error) {
	return k.owner, nil
}

// newCheckable opens the engine with the default pack, unless the configuration names another.
func newCheckable(t *testing.T, cfg inference.Config) *checkable {
	t.Helper()
	cache := parts.New(parts.Options{})
	var err error
	if cfg.LibraryPath, err = cache.ONNXRuntime(t.Context()); err != nil {
		t.Fatal(err)
	}
	if cfg.Pack.ID == "" {
		dir, err := cache.ModelPack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Pack, err = pack.Open(dir); err != nil {
			t.Fatal(err)
		}
	}
	c := &checkable{owner: counting.KeyOwner{CustomerID: uuid.New(), SubscriptionID: uuid.New(), Slot: domain.SlotPrimary}}
	if c.engine, err = inference.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.engine.Close(); err != nil {
			t.Error(err)
		}
	})
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(c.seconds.Load()) * time.Second) }
	c.store = memorystore.New(time.Now)
	if _, err := c.store.Append(t.Context(), domain.SubscriptionStream(c.owner.SubscriptionID), commands.NoStream, []commands.Proposed{{ID: uuid.New(), Event: domain.SubscriptionStarted{
		SubscriptionID: c.owner.SubscriptionID, CustomerID: c.owner.CustomerID, Plan: domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue, StartedAt: start,
	}}}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	counter := counting.NewUsageCounter(c.store, unindexed{}, now, log)
	t.Cleanup(counter.Close)
	if c.api, err = v1.New(v1.Config{
		Version: apiVersion, Keys: anyKey{c.owner}, Catalogue: catalogue(), Now: now, Log: log, Queue: judge.New(c.engine),
		Checks: counting.NewLivenessChecker(counter, judge.New(c.engine), make(commands.OneSecret, 32), now),
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *checkable) send(method, path string, body []byte) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, bytes.NewReader(body))
	request.Header.Set("X-API-Key", "any")
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	c.api.ServeHTTP(answer, request)
	return answer
}

// counted returns how many calls are counted.
func (c *checkable) counted(t *testing.T) int {
	t.Helper()
	calls, err := c.store.Read(t.Context(), domain.UsageStream(c.owner.SubscriptionID, domain.MonthOf(time.Now())), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(calls)
}
