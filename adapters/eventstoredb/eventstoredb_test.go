package eventstoredb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/domain"
)

// clusterAddress makes the tests run on a real EventStoreDB instead of an embedded node.
const clusterAddress = "LIVENESS_TEST_EVENTSTOREDB_URL"

// address returns the log to test on. It ends with events of another program.
func address(t *testing.T) string {
	t.Helper()
	if given := os.Getenv(clusterAddress); given != "" {
		return given
	}
	return startNode(t, "", "").ConnectionString()
}

type line struct {
	node.Line

	name string
}

// lines returns the version lines to test like: that which tests are to run in, and all of them when none is named.
func lines(t *testing.T) []line {
	t.Helper()
	if named := nodetest.Line(t); named != node.OwnLine {
		return []line{{named, string(named)}}
	}
	all := []line{{node.OwnLine, "own line"}}
	for _, known := range node.Lines() {
		all = append(all, line{known, string(known)})
	}
	return all
}

func startNode(t *testing.T, dir, addr string) *node.Node {
	t.Helper()
	started := nodetest.Start(t, node.Config{Addr: addr, Dir: dir})
	appendForeign(t, started.ConnectionString(), 50)
	return started
}

// appendForeign appends events of another program, whose types are called like ours and like nothing of ours, and returns
// the position of the last.
func appendForeign(t *testing.T, uri string, n int) uint64 {
	t.Helper()
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{EventType: domain.LoginSucceeded{}.EventType(), ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
		if i%2 == 1 {
			events[i].EventType = "DealClosed"
		}
	}
	return appendRaw(t, uri, "crm-1", events...)
}

// appendSystem appends an event such as a store writes for itself, and returns its position.
func appendSystem(t *testing.T, uri string) uint64 {
	t.Helper()
	return appendRaw(t, uri, "$stats-127.0.0.1:2113", esdb.EventData{EventType: "$statsCollected", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
}

func appendRaw(t *testing.T, uri, stream string, events ...esdb.EventData) uint64 {
	t.Helper()
	settings, err := esdb.ParseConnectionString(uri)
	if err != nil {
		t.Fatal(err)
	}
	settings.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(settings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	result, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return result.CommitPosition
}

func connect(t *testing.T, uri string) *eventstoredb.Client {
	t.Helper()
	client, err := eventstoredb.Connect(uri, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestStore(t *testing.T) {
	t.Parallel()
	uri := address(t)
	eventstoretest.Run(t, func(t *testing.T) commands.EventStore {
		return eventstoredb.NewStore(connect(t, uri), domain.NewRegistry())
	})
}

func TestStoreForgets(t *testing.T) {
	t.Parallel()
	eventstoretest.RunForgetting(t, func(t *testing.T, now func() time.Time) commands.EventStore {
		n := nodetest.Start(t, node.Config{Store: store.Options{Now: now}})
		return eventstoredb.NewStore(connect(t, n.ConnectionString()), domain.NewRegistry())
	})
}

// TestLoginsOfAnOlderProgramForget: streams that were begun without a limit get it, and what else their metadata says stays.
func TestLoginsOfAnOlderProgramForget(t *testing.T) {
	t.Parallel()
	uri := address(t)
	client := connect(t, uri)
	metadataOf := func(stream string) string {
		t.Helper()
		metadata, err := eventstoredb.Do(t.Context(), client, func(ctx context.Context, c *esdb.Client) (string, error) {
			reading, err := c.ReadStream(ctx, "$$"+stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
			if err != nil {
				return "", err
			}
			defer reading.Close()
			event, err := reading.Recv()
			if eventstoredb.IsEnd(err) {
				return "", nil
			}
			if err != nil {
				return "", err
			}
			return string(event.OriginalEvent().Data), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return metadata
	}
	raw := func(stream, eventType, data string) {
		t.Helper()
		if _, err := eventstoredb.Do(t.Context(), client, func(ctx context.Context, c *esdb.Client) (*esdb.WriteResult, error) {
			return c.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
				esdb.EventData{EventID: uuid.New(), EventType: eventType, ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(`{"schemaVersion":1}`)})
		}); err != nil {
			t.Fatal(err)
		}
	}
	plain, ruled, chosen := domain.LoginsStream(uuid.New()), domain.LoginsStream(uuid.New()), domain.LoginsStream(uuid.New())
	account := domain.AccountStream(uuid.New())
	for _, stream := range []string{plain, ruled, chosen} {
		raw(stream, "LoginSucceeded", "{}")
	}
	raw(account, "EmailVerified", "{}")
	raw("$$"+ruled, "$metadata", `{"$acl":{"$r":"$all"}}`)
	raw("$$"+chosen, "$metadata", `{"$maxAge":60}`)
	for range 2 {
		if n, err := client.LimitAges(t.Context()); err != nil || n != 3 && os.Getenv(clusterAddress) == "" {
			t.Fatalf("limited %d streams, %v; want 3", n, err)
		}
	}
	for stream, want := range map[string]string{
		plain: `{"$maxAge":7776000}`, ruled: `{"$acl":{"$r":"$all"},"$maxAge":7776000}`, chosen: `{"$maxAge":60}`, account: "",
	} {
		if got := metadataOf(stream); got != want {
			t.Errorf("metadata of %s: %q, want %q", stream, got, want)
		}
	}
}

// login is the smallest event there is; where it stands does not matter to these tests.
func login(customer uuid.UUID) commands.Proposed {
	return commands.Proposed{ID: uuid.New(), Event: domain.LoginSucceeded{CustomerID: customer, At: time.Now().UTC()},
		Meta: domain.Metadata{CorrelationID: uuid.New(), CausationID: uuid.New(), Actor: domain.ActorUser, OccurredAt: time.Now().UTC()}}
}

func failed(customer uuid.UUID) commands.Proposed {
	p := login(customer)
	p.Event = domain.LoginFailed{CustomerID: customer, At: time.Now().UTC()}
	return p
}

func appendAll(t *testing.T, store commands.EventStore, stream string, events ...commands.Proposed) commands.Appended {
	t.Helper()
	revision := commands.NoStream
	last, found, err := store.ReadLast(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if found {
		revision = int64(last.Revision)
	}
	appended, err := store.Append(t.Context(), stream, revision, events)
	if err != nil {
		t.Fatal(err)
	}
	return appended
}

// A client outlives its node: while the node is away calls fail as unavailable within their deadline, and once it is
// back they work again, also after the official client has given up for good.
func TestClientOutlivesItsNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := nodetest.Start(t, node.Config{Dir: dir})
	client := connect(t, first.ConnectionString())
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	stream := domain.LoginsStream(uuid.New())
	appendAll(t, store, stream, login(uuid.New()))
	addr := first.Addr()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	deadline := time.Now().Add(7 * time.Second) // longer than the official client looks for a node
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for ; time.Now().Before(deadline); <-every.C {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		begun := time.Now()
		_, _, err := store.ReadLast(ctx, stream)
		cancel()
		if !errors.Is(err, commands.ErrStoreUnavailable) {
			t.Fatalf("without a node: got %v", err)
		}
		if waited := time.Since(begun); waited > mostOfACall {
			t.Fatalf("a call with a deadline of 300 ms took %v", waited)
		}
	}

	startNode(t, dir, addr)
	await(t, "the client coming back", func(ctx context.Context) error {
		last, found, err := store.ReadLast(ctx, stream)
		if err == nil && (!found || last.Revision != 0) {
			t.Fatalf("after the restart: %v, %v", last, found)
		}
		return err
	})
}

func TestReactorTriesAgainAndGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	client := connect(t, address(t))
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	customer := uuid.New()
	first, second := login(customer), login(customer)
	appendAll(t, store, domain.LoginsStream(customer), first, failed(customer))

	handled := make(chan uuid.UUID, 100)
	var mu sync.Mutex
	attempts := map[uuid.UUID]int{}
	group := fmt.Sprintf("test-%s", customer)
	start := func(ctx context.Context) (stopped chan error) {
		reactor := eventstoredb.NewReactor(client, domain.NewRegistry(), slog.New(slog.DiscardHandler))
		reactor.Group, reactor.Events = group, []string{domain.LoginSucceeded{}.EventType()}
		reactor.Handle = func(_ context.Context, recorded domain.Recorded) error {
			mu.Lock()
			defer mu.Unlock()
			if attempts[recorded.ID]++; recorded.ID == first.ID && attempts[recorded.ID] == 1 {
				return errors.New("not this time")
			}
			handled <- recorded.ID
			return nil
		}
		stopped = make(chan error, 1)
		go func() { stopped <- reactor.Run(ctx) }()
		return stopped
	}
	wait := func(want uuid.UUID) {
		t.Helper()
		for {
			select {
			case got := <-handled:
				if got == want {
					return
				}
			case <-deadline(t).Done():
				t.Fatalf("%s was not handled", want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := start(ctx)
	wait(first.ID)
	cancel()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	appendAll(t, store, domain.LoginsStream(customer), second)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	stopped = start(ctx)
	wait(second.ID)
	cancel()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if attempts[first.ID] < 2 {
		t.Errorf("the failed event was tried %d times", attempts[first.ID])
	}
}
