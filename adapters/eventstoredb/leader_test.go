package eventstoredb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// Every call but the first of a connection asks for the leader, in what is really sent.
func TestEveryCallAsksForTheLeader(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]bool{}
	f := newFront(t, nodetest.Start(t, node.Config{}).Addr(), func(method string, header metadata.MD) error {
		mu.Lock()
		defer mu.Unlock()
		leader := strings.Join(header.Get("requires-leader"), ",") == "true"
		if before, seen := asked[method]; !seen || before {
			asked[method] = leader
		}
		return nil
	})
	client := connect(t, f.url())
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	customer := uuid.New()
	appendAll(t, store, domain.LoginsStream(customer), login(customer))
	if _, err := client.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Follow(t.Context(), 0, false, func(*esdb.RecordedEvent) error { return nil }); err != nil {
		t.Fatal(err)
	}
	handled := make(chan domain.Recorded, 1)
	startReactor(t, client, "leader", slog.New(slog.DiscardHandler), func(_ context.Context, r domain.Recorded) error {
		handled <- r
		return nil
	})
	<-handled
	mu.Lock()
	defer mu.Unlock()
	for method, leader := range asked {
		if first := strings.Contains(method, "ServerFeatures"); leader == first {
			t.Errorf("%s asks for the leader: %t", method, leader)
		}
	}
	if len(asked) < 4 {
		t.Errorf("only these were called: %v", asked)
	}
}

// A leader that resigns while it is written to: what is sent to it goes to the next one, and is there once.
func TestClientFollowsTheLeader(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	store := eventstoredb.NewStore(connect(t, n.ConnectionString()), domain.NewRegistry())
	stream := domain.LoginsStream(uuid.New())
	revision := commands.NoStream
	for round := range 6 {
		batch := make([]commands.Proposed, 1+200*(round%2))
		for i := range batch {
			batch[i] = login(uuid.New())
		}
		appended, err := commands.AppendUntilKnown(t.Context(), store, stream, revision, batch)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if want := revision + int64(len(batch)); int64(appended.Revision) != want {
			t.Fatalf("round %d: revision %d, want %d", round, appended.Revision, want)
		}
		revision = int64(appended.Revision)
		if _, err := n.Faults().Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		var last domain.Recorded
		await(t, "the new leader to be read", func(ctx context.Context) (err error) {
			last, _, err = store.ReadLast(ctx, stream)
			return err
		})
		if int64(last.Revision) != revision {
			t.Fatalf("round %d: read revision %d, want %d: the one that resigned has answered", round, last.Revision, revision)
		}
	}
}

// A node that accepts and never answers: calls end with their deadlines, soon they are refused at once, and they are made
// again when it goes on.
func TestNodeThatHangs(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	client := connect(t, n.ConnectionString())
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	stream := domain.LoginsStream(uuid.New())
	appendAll(t, store, stream, login(uuid.New()))

	resume := n.Faults().Hang()
	defer resume()
	begun := time.Now()
	_, err := commands.AppendUntilKnown(t.Context(), store, stream, 0, []commands.Proposed{login(uuid.New())})
	if took := time.Since(begun); !errors.Is(err, commands.ErrStoreUnavailable) || took > mostOfACall {
		t.Fatalf("after %v: %v", took, err)
	}
	await(t, "the store to be known as down", func(ctx context.Context) error {
		if _, _, err := store.ReadLast(ctx, stream); !errors.Is(err, commands.ErrStoreDown) {
			return err
		}
		return nil
	})
	begun = time.Now()
	for range 100 {
		if _, _, err = store.ReadLast(t.Context(), stream); !errors.Is(err, commands.ErrStoreDown) || !strings.Contains(err.Error(), "does not answer") {
			t.Fatalf("while it is down: %v", err)
		}
	}
	if took := time.Since(begun); took > mostOfACall {
		t.Errorf("100 calls were refused in %v", took)
	}

	resume()
	await(t, "the store to be used again", func(ctx context.Context) error {
		_, _, err := store.ReadLast(ctx, stream)
		return err
	})
}

// A node that hangs is known to, before the first call is given up, by calls that nobody answers.
func TestCallsThatNobodyAnswersAreTrouble(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	client := connect(t, n.ConnectionString())
	if err := errors.Join(client.Ping(t.Context()), client.Trouble()); err != nil {
		t.Fatal(err)
	}
	resume := n.Faults().Hang()
	defer resume()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { asked <- client.Ping(ctx) }()
	await(t, "the silence being noticed", func(context.Context) error {
		if err := client.Trouble(); !errors.Is(err, commands.ErrStoreUnavailable) || !strings.Contains(err.Error(), "none of 1 calls") {
			return fmt.Errorf("trouble = %w", err)
		}
		return nil
	})
	cancel()
	if err := <-asked; err == nil {
		t.Error("a node that hangs has answered")
	}
	if err := client.Trouble(); err != nil {
		t.Errorf("trouble without a call under way: %v", err)
	}
	resume()
	await(t, "the store answering again", client.Ping)
}

// Without a quorum the leader answers reads and no append: soon appends are refused at once, and when it can write again
// the next one that is let through finds it out.
func TestLeaderWithoutAQuorum(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	logged := &commandstest.Lines{}
	client, err := eventstoredb.Connect(n.ConnectionString(), slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	tries := func(ctx context.Context) error {
		_, err := commands.AppendUntilKnown(ctx, store, domain.SubscriptionStream(uuid.New()), commands.NoStream, []commands.Proposed{login(uuid.New())})
		return err
	}
	release := n.Faults().HoldCommits()
	defer release()
	begun := time.Now()
	err = tries(t.Context())
	if took := time.Since(begun); !errors.Is(err, commands.ErrStoreUnavailable) || took > mostOfACall {
		t.Fatalf("after %v: %v", took, err)
	}
	begun = time.Now()
	for range 100 {
		if err := tries(t.Context()); !errors.Is(err, commands.ErrStoreDown) {
			t.Fatalf("while it cannot write: %v", err)
		}
	}
	if err := client.Ping(t.Context()); !errors.Is(err, commands.ErrStoreDown) {
		t.Errorf("health while it cannot write: %v", err)
	}
	if took := time.Since(begun); took > mostOfACall {
		t.Errorf("100 appends were refused in %v", took)
	}
	if _, _, err := store.ReadLast(t.Context(), domain.LoginsStream(uuid.New())); err != nil {
		t.Errorf("reads are answered: %v", err)
	}
	release()
	await(t, "an append", tries)
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 || !strings.Contains(logged.String(), "takes appends again") {
		t.Errorf("%d warnings:\n%s", n, logged.String())
	}
}

// Nobody listens: after three seconds calls are refused at once, with what is wrong, and one warning is written.
func TestNodeThatIsGone(t *testing.T) {
	t.Parallel()
	logged := &commandstest.Lines{}
	client, err := eventstoredb.Connect("esdb://"+awaittest.FreeAddress(t)+"?tls=false", slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	await(t, "the store to be known as down", func(ctx context.Context) error {
		if _, err := client.Head(ctx); !errors.Is(err, commands.ErrStoreDown) || !strings.Contains(err.Error(), "nothing listens") {
			return err
		}
		return nil
	})
	for range 100 {
		_, _ = client.Head(t.Context())
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, logged.String())
	}
}

// mostOfACall is longer than any call takes that does not wait for ever, and than a hundred that are refused at once.
const mostOfACall = 30 * time.Second

// await tries until it works. Only what hangs reaches its end.
func await(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx := deadline(t)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		attempt, stop := context.WithTimeout(ctx, 5*time.Second)
		err := try(attempt)
		stop()
		if err == nil {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute: %v", what, err)
		}
	}
}
