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
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
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

// Under load, with Idempotency-Keys so that clients may repeat what got no answer, every part is killed and hung at random. Every
// check that was acknowledged is one event; there are no other events; API, read models and audit say the same.
func TestChaos(t *testing.T) {
	t.Parallel()
	strikes := fromEnvironment(t, "LIVENESS_CHAOS_KILLS", 12)
	c := startCluster(t, 2, 2)
	subscription, firstMonth := c.subscription(t), domain.MonthOf(time.Now())

	ctx, stopLoad := context.WithCancel(t.Context())
	load := c.repeatChecks(ctx, t, subscription)
	byName, broken := map[string]int{}, faults{parts: c.parts()}
	for done := range strikes {
		pauseFor(ctx, time.Duration(150+rand.IntN(500))*time.Millisecond)
		byName[broken.strike(t)]++
		if done%50 == 49 {
			t.Logf("%d of %d: %v", done+1, strikes, byName)
		}
	}
	stopLoad()
	load.clients.Wait()

	counted := c.countedChecks(t, subscription, monthsFrom(firstMonth)...)
	differences := load.differences(counted)
	modelled := c.modelledCalls(t, subscription, counted)
	if modelled != int64(len(counted)) {
		differences = append(differences, fmt.Sprintf("the read model counts %d calls, the log %d", modelled, len(counted)))
	}
	differences = append(differences, c.audited(t)...)
	for _, difference := range differences {
		t.Error(difference)
	}
	t.Logf("%d kills and hangs: %v", strikes, byName)
	t.Logf("acknowledged %d, counted %d, in the read model %d, repeated requests %d, of them answered 503 %d: %d differences",
		len(load.acknowledged), len(counted), modelled, load.repeats.Load(), load.refused.Load(), len(differences))
}

// repeatedChecks are checks of clients that repeat each until it is answered.
type repeatedChecks struct {
	clients          sync.WaitGroup
	repeats, refused atomic.Int64

	mu           sync.Mutex
	acknowledged map[uuid.UUID]bool // by the check's id
}

// repeatChecks begins checks of eight clients until ctx ends. Once begun, a check is repeated until it is answered.
func (c *cluster) repeatChecks(ctx context.Context, t *testing.T, subscription uuid.UUID) *repeatedChecks {
	t.Helper()
	load, body := &repeatedChecks{acknowledged: map[uuid.UUID]bool{}}, smallFace(t)
	client := &http.Client{Transport: document.Transport(&http.Transport{MaxIdleConnsPerHost: 16})}
	for range 8 {
		load.clients.Go(func() {
			for ctx.Err() == nil {
				key := uuid.NewString()
				if err := c.checkUntilAnswered(t.Context(), client, key, body, &load.repeats, &load.refused); err != nil {
					t.Error(err)
					return
				}
				load.mu.Lock()
				load.acknowledged[domain.CheckIDForIdempotencyKey(subscription, key)] = true
				load.mu.Unlock()
			}
		})
	}
	return load
}

// served returns how many checks were acknowledged so far.
func (l *repeatedChecks) served() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// differences says where the log holds another call than was acknowledged.
func (l *repeatedChecks) differences(counted []domain.CheckCompleted) (found []string) {
	seen := map[uuid.UUID]bool{}
	for _, event := range counted {
		if seen[event.CheckID] {
			found = append(found, fmt.Sprintf("check %s was counted twice", event.CheckID))
		}
		seen[event.CheckID] = true
		if !l.acknowledged[event.CheckID] {
			found = append(found, fmt.Sprintf("check %s was counted and never acknowledged", event.CheckID))
		}
	}
	for id := range l.acknowledged {
		if !seen[id] {
			found = append(found, fmt.Sprintf("check %s was acknowledged and is not in the log", id))
		}
	}
	return found
}

// audited returns what the audit finds in the log and in the read models, once these have caught up.
func (c *cluster) audited(t *testing.T) (found []string) {
	t.Helper()
	report, err := auditing.Verify(t.Context(), auditing.Verification{
		Log: eventstoredb.NewAuditedLog(c.core.client), ReadModels: engine.Examiner{Pool: c.core.pool, Projections: projections.All()},
	}, auditing.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		found = append(found, finding.String())
	}
	return found
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
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute) // on a busy machine nodes are killed as soon as they have started
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
