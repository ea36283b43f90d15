package v1_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/http/apidocs/apidocstest"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// fixture is the API over the real commands and an event store in memory; only inference is replaced.
type fixture struct {
	t        testing.TB
	store    *memorystore.Store
	accounts *accounts.Commands
	api      *v1.API
	handler  http.Handler // the API, whose answers are held against the OpenAPI document
	keys     *keyDirectory
	judge    *judge
	queue    *queue
	clock    *commandstest.Clock
	logged   *commandstest.Lines
	registry *prometheus.Registry
	customer uuid.UUID
	id       uuid.UUID // of the subscription
	key      string
}

// judge answers in the place of inference: the same for every image, unless work says otherwise.
type judge struct {
	calls atomic.Int64
	work  atomic.Pointer[func(ctx context.Context, image []byte, format string) (domain.Judgement, error)]
}

func (j *judge) Judge(ctx context.Context, _ counting.Share, image []byte, format string) (domain.Judgement, error) {
	j.calls.Add(1)
	if work := j.work.Load(); work != nil {
		return (*work)(ctx, image, format)
	}
	return domain.Judgement{FakeLikelihood: 0.012, ValidFace: true, Brightness: 142.33, Threshold: 0.15, ModelPack: "test"}, nil
}

func (j *judge) does(work func(ctx context.Context, image []byte, format string) (domain.Judgement, error)) {
	j.work.Store(&work)
}

// queue is the one before the judge, as full as a test wants it.
type queue struct{ now atomic.Int64 }

const queueWorkers, queuePlaces = 2, 5

func (q *queue) Workers() int               { return queueWorkers }
func (q *queue) Admitted() (now, most int)  { return int(q.now.Load()), queuePlaces }
func (q *queue) Admits(counting.Share) bool { return q.now.Load() < queuePlaces }
func (q *queue) GaveWay() int64             { return 0 }

// keyDirectory finds keys in the log itself, which takes its time, or knows one owner of every key.
type keyDirectory struct {
	store *memorystore.Store
	fixed *counting.KeyOwner
}

func (d *keyDirectory) FindKey(_ context.Context, hashes []string) (counting.KeyOwner, string, error) {
	if d.fixed != nil {
		return *d.fixed, hashes[0], nil
	}
	all, err := d.store.All()
	if err != nil {
		return counting.KeyOwner{}, "", err
	}
	states := map[string]domain.APIKeys{}
	for _, recorded := range all {
		states[recorded.Stream] = states[recorded.Stream].Fold(recorded.Event)
	}
	for _, state := range states {
		for slot, key := range state.Keys {
			if slices.Contains(hashes, key.Hash) {
				return counting.KeyOwner{CustomerID: state.CustomerID, SubscriptionID: state.SubscriptionID, Slot: slot}, key.Hash, nil
			}
		}
	}
	return counting.KeyOwner{}, "", nil
}

// noIndex has seen nothing yet, so that the log is read.
type noIndex struct{}

func (noIndex) FindCheck(context.Context, uuid.UUID, domain.Month, uuid.UUID) (int64, bool, int64, error) {
	return 0, false, 0, nil
}

type noVault struct{}

var errNoVault = errors.New("no personal data here")

func (noVault) Encrypt(context.Context, uuid.UUID, []byte) (domain.Ciphertext, error) {
	return "", errNoVault
}
func (noVault) Decrypt(context.Context, uuid.UUID, domain.Ciphertext) ([]byte, error) {
	return nil, errNoVault
}
func (noVault) Destroy(context.Context, uuid.UUID) error { return errNoVault }

// upToDate is the barrier of read models that are the log itself.
type upToDate struct{}

func (upToDate) WaitFor(context.Context, string, uint64) error { return nil }

// document is what every answer of these tests is held against.
var document *apidocstest.Document

func TestMain(m *testing.M) {
	var err error
	if document, err = apidocstest.Read(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	fmt.Fprintf(os.Stdout, "%d answers were held against the OpenAPI document\n", document.Answers())
	os.Exit(code)
}

var secret = commands.OneSecret("a secret of 32 bytes, for tests.")

func newFixture(t testing.TB, change ...func(*v1.Config)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, clock: commandstest.NewClock(time.Date(2026, 11, 22, 12, 34, 56, 789_400_000, time.UTC)), judge: &judge{}, queue: &queue{},
		logged:   &commandstest.Lines{},
		registry: prometheus.NewRegistry(),
	}
	f.store = memorystore.New(f.clock.Now)
	f.keys = &keyDirectory{store: f.store}
	log := slog.New(slog.NewJSONHandler(f.logged, nil))
	var err error
	if f.accounts, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: f.store, Now: f.clock.Now}, Vault: noVault{}, Barrier: upToDate{}, Keyring: secret, Log: log,
	}); err != nil {
		t.Fatal(err)
	}
	f.subscribe()
	counter := counting.NewUsageCounter(f.store, noIndex{}, f.clock.Now, log)
	t.Cleanup(counter.Close)
	config := v1.Config{
		Version: "1.0.1", ErrorDocs: "https://api.example/docs/errors/", Keys: counting.NewKeyAuthenticator(f.keys, secret, f.clock.Now),
		Checks:    counting.NewLivenessChecker(counter, f.judge, secret, f.clock.Now),
		Queue:     f.queue,
		Catalogue: domain.DefaultCatalogue(), Now: f.clock.Now, Log: log, Registerer: f.registry,
	}
	for _, c := range change {
		c(&config)
	}
	if f.api, err = v1.New(config); err != nil {
		t.Fatal(err)
	}
	f.handler = document.Hold(t, f.api)
	return f
}

// subscribe starts a subscription of the smallest plan and gives it its first keys. To regenerate one instead would have every test
// wait until no node acts any more on an older one.
func (f *fixture) subscribe() {
	f.t.Helper()
	ctx, by := context.Background(), commands.NewOrigin(domain.ActorMarketplace)
	started, err := (subscriptions.Commands{Executor: f.accounts.Executor}).StartSubscription(ctx, subscriptions.StartSubscription{
		By: by, Identity: domain.MarketplaceIdentity{LicenseARN: "arn:aws:license-manager:::license:l-" + uuid.NewString()},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.customer, f.id = started.State.CustomerID, started.State.ID
	var digests [2]domain.KeyDigest
	for i := range digests {
		inUse := commands.InUse(secret, commands.PurposeAPIKeys)
		f.key = domain.KeyPrefix + (rand.Text() + rand.Text())[:domain.KeyLength-len(domain.KeyPrefix)]
		digests[i] = domain.NewKeyDigest(f.key, inUse.APIKeyHash(f.key), inUse.ID)
	}
	if _, err = commands.Execute(ctx, f.accounts.Executor, by, domain.APIKeysStream(f.customer), func(k domain.APIKeys) ([]domain.Event, error) {
		return k.Issue(f.customer, f.id, digests[1], digests[0], f.clock.Now()), nil
	}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) regenerate() string {
	f.t.Helper()
	issued, err := f.accounts.RegenerateKey(context.Background(), accounts.RegenerateKey{
		By: commands.NewOrigin(domain.ActorUser), CustomerID: f.customer, SubscriptionID: f.id, Slot: domain.SlotPrimary,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return issued.Reveal()
}

// limit gives the plan another number of calls and chooses what happens beyond.
func (f *fixture) limit(calls int64, beyond domain.OveragePolicy) {
	f.t.Helper()
	ctx := context.Background()
	_, _, stream := f.mustState()
	last, _, err := f.store.ReadLast(ctx, stream)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.store.Append(ctx, stream, int64(last.Revision), []commands.Proposed{
		{ID: uuid.New(), Event: domain.PlanChanged{SubscriptionID: f.id, Plan: domain.PlanStarter, Limit: calls}},
		{ID: uuid.New(), Event: domain.OverageSwitched{SubscriptionID: f.id, To: beyond}},
	}); err != nil {
		f.t.Fatal(err)
	}
}

// plan gives the subscription another plan.
func (f *fixture) plan(plan domain.PlanID) {
	f.t.Helper()
	_, revision, stream := f.mustState()
	if _, err := f.store.Append(context.Background(), stream, revision, []commands.Proposed{
		{ID: uuid.New(), Event: domain.PlanChanged{SubscriptionID: f.id, Plan: plan, Limit: 100_000}},
	}); err != nil {
		f.t.Fatal(err)
	}
}

// fixedOwner makes every key the fixture's.
func (f *fixture) fixedOwner() {
	f.keys.fixed = &counting.KeyOwner{CustomerID: f.customer, SubscriptionID: f.id, Slot: domain.SlotPrimary}
}

func (f *fixture) end() {
	f.t.Helper()
	ctx := context.Background()
	_, revision, stream := f.mustState()
	if _, err := f.store.Append(ctx, stream, revision, []commands.Proposed{
		{ID: uuid.New(), Event: domain.SubscriptionEnded{SubscriptionID: f.id}},
	}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) mustState() (domain.Subscription, int64, string) {
	f.t.Helper()
	stream := domain.SubscriptionStream(f.id)
	page, err := f.store.Read(context.Background(), stream, 0, 1000)
	if err != nil || len(page) == 0 {
		f.t.Fatalf("read %s: %d events, %v", stream, len(page), err)
	}
	var state domain.Subscription
	for _, recorded := range page {
		state = state.Fold(recorded.Event)
	}
	return state, int64(page[len(page)-1].Revision), stream
}

// counted returns the counted calls of the current month, as the log has them.
func (f *fixture) counted() []domain.Recorded {
	f.t.Helper()
	page, err := f.store.Read(context.Background(), domain.UsageStream(f.id, domain.MonthOf(f.clock.Now())), 0, 10_000)
	if err != nil {
		f.t.Fatal(err)
	}
	return page
}

// reply is an answer, parsed.
type reply struct {
	Status   int         `json:"-"`
	Header   http.Header `json:"-"`
	Raw      string      `json:"-"`
	Metadata struct {
		Date           string
		Ver            string
		CustomerID     *string `json:"customer_id"`
		RemainingCalls *int64  `json:"remaining_calls"`
		OverLimitCalls *int64  `json:"over_limit_calls"`
		Status         string
	}
	Data  map[string]any
	Error *struct{ Code, Message, Docs string }
}

func (r reply) code() string {
	if r.Error == nil {
		return ""
	}
	return r.Error.Code
}

// bodyOf is a well-formed check of an image.
func bodyOf(image string) string {
	return `{"image": "` + base64.StdEncoding.EncodeToString([]byte(image)) + `", "image_format": "jpeg"}`
}

// request is a well-formed check with the fixture's key, to be spoilt by the test.
func (f *fixture) request(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, v1.PathCheck, body)
	r.Header.Set("X-API-Key", f.key)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (f *fixture) do(r *http.Request) reply {
	f.t.Helper()
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, r)
	got := reply{Status: recorder.Code, Header: recorder.Header(), Raw: recorder.Body.String()}
	if recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
			f.t.Fatalf("answer %q: %v", recorder.Body, err)
		}
	}
	return got
}

func (f *fixture) check(image string) reply {
	f.t.Helper()
	return f.do(f.request(bytes.NewReader([]byte(bodyOf(image)))))
}

func (f *fixture) get(path string) reply {
	f.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("X-API-Key", f.key)
	return f.do(r)
}

func (f *fixture) want(got reply, status int, code string) {
	f.t.Helper()
	if got.Status != status || got.code() != code {
		f.t.Errorf("%d %s, want %d %q", got.Status, got.Raw, status, code)
	}
}
