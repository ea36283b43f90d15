package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

func checkBody(image []byte) []byte {
	return fmt.Appendf(nil, `{"image": %q, "image_format": "jpeg"}`, base64.StdEncoding.EncodeToString(image))
}

// fromEnvironment is a number that `task` raises above what `go test` has time for.
func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number above 0", name, text)
	}
	return n
}

// postCheck sends one check and gives status and remaining calls; an error when no answer came.
func postCheck(ctx context.Context, client *http.Client, addr, key, idempotencyKey string, body []byte) (status int, remaining int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/check/liveness", bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer apiAnswer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, 0, err
	}
	return response.StatusCode, answer.Metadata.Remaining, nil
}

// countedChecks reads every counted call of the demo customer from the log.
func (c *cluster) countedChecks(t *testing.T, subscription uuid.UUID, months ...domain.Month) []domain.CheckCompleted {
	t.Helper()
	var all []domain.CheckCompleted
	for _, month := range months {
		for from := uint64(0); ; from += 500 {
			page, err := c.core.store.Read(t.Context(), domain.UsageStream(subscription, month), from, 500)
			if err != nil {
				t.Fatal(err)
			}
			for i, recorded := range page {
				event, ok := recorded.Event.(domain.CheckCompleted)
				if !ok || event.Ordinal != int64(from)+int64(i)+1 {
					t.Fatalf("revision %d holds %T with ordinal %d", recorded.Revision, recorded.Event, event.Ordinal)
				}
				all = append(all, event)
			}
			if len(page) < 500 {
				break
			}
		}
	}
	return all
}

// Under load, with Idempotency-Keys so that clients may repeat what got no answer, everything is killed at random. Every
// check that was acknowledged is one event; there are no other events; the read model and the API count the same.
func TestChaos(t *testing.T) {
	t.Parallel()
	kills := fromEnvironment(t, "LIVENESS_CHAOS_KILLS", 10)
	c := startCluster(t, 2)
	body := smallFace(t)
	subscription := c.subscription(t)
	firstMonth := domain.MonthOf(time.Now())

	ctx, stopLoad := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[uuid.UUID]bool{}
	var repeats, refused atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				key := uuid.NewString()
				// Once begun, a check is repeated until it is answered, also when the load is to end.
				if err := c.checkUntilAnswered(t.Context(), client, key, body, &repeats, &refused); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[domain.CheckIDForIdempotencyKey(subscription, key)] = true
				mu.Unlock()
			}
		})
	}
	byName := map[string]int{}
	for range kills {
		pauseFor(ctx, time.Duration(150+rand.IntN(500))*time.Millisecond)
		byName[c.killSomething(t)]++
	}
	stopLoad()
	clients.Wait()

	counted := c.countedChecks(t, subscription, monthsFrom(firstMonth)...)
	seen := map[uuid.UUID]bool{}
	for _, event := range counted {
		if seen[event.CheckID] {
			t.Errorf("check %s was counted twice", event.CheckID)
		}
		seen[event.CheckID] = true
		if !acknowledged[event.CheckID] {
			t.Errorf("check %s was counted and never acknowledged", event.CheckID)
		}
	}
	for id := range acknowledged {
		if !seen[id] {
			t.Errorf("check %s was acknowledged and is not in the log", id)
		}
	}
	modelled := c.modelledCalls(t, subscription, counted)
	if modelled != int64(len(counted)) {
		t.Errorf("the read model counts %d calls, the log %d", modelled, len(counted))
	}
	t.Logf("killed %v; acknowledged %d, counted %d, in the read model %d, repeated requests %d, of them answered 503 %d",
		byName, len(acknowledged), len(counted), modelled, repeats.Load(), refused.Load())
}

// monthsFrom is the month a test began in and the one it ends in, if that is another.
func monthsFrom(first domain.Month) []domain.Month {
	if last := domain.MonthOf(time.Now()); last != first {
		return []domain.Month{first, last}
	}
	return []domain.Month{first}
}

func (c *cluster) subscription(t *testing.T) uuid.UUID {
	t.Helper()
	keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(c.core.pool), c.core.ring, time.Now)
	owner, err := keys.AuthenticateKey(t.Context(), c.demo.Primary)
	if err != nil {
		t.Fatal(err)
	}
	return owner.SubscriptionID
}

func (c *cluster) checkUntilAnswered(ctx context.Context, client *http.Client, key string, body []byte, repeats, refused *atomic.Int64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		api := c.apis[rand.IntN(len(c.apis))]
		status, _, err := postCheck(ctx, client, api.addr, c.demo.Primary, key, body)
		switch {
		case err == nil && status == http.StatusOK:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("check %s got no answer: status %d, %w", key, status, errors.Join(err, ctx.Err()))
		case err == nil && status == http.StatusServiceUnavailable:
			refused.Add(1)
		case err == nil:
			return fmt.Errorf("check %s was answered %d", key, status)
		}
		repeats.Add(1)
		pauseFor(ctx, 50*time.Millisecond)
	}
}

// killSomething kills an API node, the worker, the event store or Postgres, and says which.
func (c *cluster) killSomething(t *testing.T) string {
	t.Helper()
	victims := append([]*process{c.store, c.worker}, c.apis...)
	n := rand.IntN(len(victims) + 1)
	if n < len(victims) {
		victims[n].kill()
		return victims[n].name
	}
	content, err := os.ReadFile(filepath.Join(c.pgDir, "postmaster.pid"))
	if err != nil {
		return "postgres (not running)"
	}
	first, _, _ := strings.Cut(string(content), "\n")
	if pid, err := strconv.Atoi(first); err == nil && pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return "postgres"
}

// modelledCalls waits until the read model has seen the last check and gives what it counts.
func (c *cluster) modelledCalls(t *testing.T, subscription uuid.UUID, counted []domain.CheckCompleted) int64 {
	t.Helper()
	usage := projections.NewUsage(c.core.pool)
	months := map[domain.Month]int64{}
	for _, event := range counted {
		months[event.Month] = event.Ordinal
	}
	var total int64
	eventually(t, "the read model", func() error {
		total = 0
		for month, want := range months {
			row, err := usage.Month(t.Context(), subscription, month)
			if err != nil {
				return err
			}
			if row.Counted() < want {
				return fmt.Errorf("%s shows %d of %d calls", month, row.Counted(), want)
			}
			total += row.Counted()
		}
		return nil
	})
	return total
}
