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
	"github.com/pas-ta/liveness/projections/engine"
)

// clusterAddress makes the tests run on a real EventStoreDB instead of an embedded node.
const clusterAddress = "LIVENESS_TEST_EVENTSTOREDB_URL"

// address gives the log to test on.
func address(t *testing.T) string {
	t.Helper()
	if given := os.Getenv(clusterAddress); given != "" {
		return given
	}
	return startNode(t, t.TempDir(), "127.0.0.1:0").ConnectionString()
}

func startNode(t *testing.T, dir, addr string) *node.Node {
	t.Helper()
	return nodetest.Start(t, node.Config{Addr: addr, Dir: dir})
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
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		begun := time.Now()
		_, _, err := store.ReadLast(ctx, stream)
		cancel()
		if !errors.Is(err, commands.ErrStoreUnavailable) {
			t.Fatalf("without a node: got %v", err)
		}
		if waited := time.Since(begun); waited > 3*time.Second {
			t.Fatalf("a call with a deadline of 300 ms took %v", waited)
		}
	}

	startNode(t, dir, addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		attempt, stop := context.WithTimeout(ctx, time.Second)
		last, found, err := store.ReadLast(attempt, stream)
		stop()
		if err == nil {
			if !found || last.Revision != 0 {
				t.Fatalf("after the restart: %v, %v", last, found)
			}
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the client did not come back: %v", err)
		}
	}
}

// follower collects what a subscriber delivers.
type follower struct {
	mu     sync.Mutex
	events []domain.Recorded
	place  engine.Place
}

func (f *follower) from(context.Context) (engine.Place, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.place, nil
}

func TestSubscriberDeliversInOrderAndAgainAfterANack(t *testing.T) {
	t.Parallel()
	client := connect(t, address(t))
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	customer := uuid.New()
	stream := domain.LoginsStream(customer)
	var history []commands.Proposed
	for i := range 50 {
		history = append(history, login(customer))
		if i%5 == 0 {
			history = append(history, failed(customer)) // not asked for
		}
	}
	appendAll(t, store, stream, history...)

	f := &follower{}
	subscriber := eventstoredb.NewSource(client, domain.NewRegistry(), slog.New(slog.DiscardHandler)).
		Subscriber("test", []string{domain.LoginSucceeded{}.EventType()}, f.from)
	messages, err := subscriber.Subscribe(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	live := login(customer)
	caughtUp, appended, nacked := false, false, 0
	for got := 0; got < 51; {
		select {
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d events arrived", got)
		case msg := <-messages:
			batch, ok := engine.BatchOf(msg)
			if !ok {
				t.Fatal("a message without a batch")
			}
			if nacked < 2 && len(batch.Events) > 0 {
				nacked++
				msg.Nack()
				continue
			}
			for _, e := range batch.Events {
				if e.Stream != stream {
					continue
				}
				if _, ok := e.Event.(domain.LoginSucceeded); !ok {
					t.Fatalf("got %T, which was not asked for", e.Event)
				}
				if n := len(f.events); n > 0 && f.events[n-1].Position >= e.Position {
					t.Fatalf("position %d after %d", e.Position, f.events[n-1].Position)
				}
				f.events = append(f.events, e)
				got++
			}
			caughtUp = caughtUp || batch.CaughtUp
			msg.Ack()
			if caughtUp && !appended {
				appended = true
				appendAll(t, store, stream, failed(customer), live)
			}
		}
	}
	if nacked != 2 || f.events[50].ID != live.ID {
		t.Errorf("nacked %d times, last event %v", nacked, f.events[50].ID)
	}
	if err := subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-messages; open {
		t.Error("a message after Close")
	}
}

// An event of a newer program reaches the projection as undecodable instead of vanishing.
func TestSubscriberReportsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	client := connect(t, address(t))
	registry := domain.NewRegistry()
	store := eventstoredb.NewStore(client, registry)
	customer := uuid.New()
	appendAll(t, store, domain.LoginsStream(customer), login(customer))

	empty := &domain.Registry{} // a program that knows no event
	subscriber := eventstoredb.NewSource(client, empty, slog.New(slog.DiscardHandler)).
		Subscriber("test", []string{domain.LoginSucceeded{}.EventType()}, (&follower{}).from)
	defer func() { _ = subscriber.Close() }()
	messages, err := subscriber.Subscribe(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case <-time.After(10 * time.Second):
			t.Fatal("the event did not arrive")
		case msg := <-messages:
			batch, _ := engine.BatchOf(msg)
			msg.Ack()
			for _, e := range batch.Events {
				if unreadable, ok := e.Event.(engine.Undecodable); ok && errors.Is(unreadable, domain.ErrUnknownEvent) {
					return
				}
			}
		}
	}
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
			case <-time.After(15 * time.Second):
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
