package eventstoredb_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/domain"
)

// However the log ends, what was in it is handed over, and then it is the end.
func TestFollowEndsWithTheLog(t *testing.T) {
	t.Parallel()
	ends := map[string]func(t *testing.T, uri string) (more int){
		"new log":               func(*testing.T, string) int { return 0 },
		"an event of ours":      func(*testing.T, string) int { return 0 },
		"events of others":      func(t *testing.T, uri string) int { appendForeign(t, uri, 2000); return 2000 },
		"an event of the store": func(t *testing.T, uri string) int { appendSystem(t, uri); return 0 },
	}
	for _, line := range lines(t) {
		for name, end := range ends {
			t.Run(line.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				uri := nodetest.Start(t, node.Config{Like: line.Line}).ConnectionString()
				client := connect(t, uri)
				want := 0
				if name != "new log" {
					appendAll(t, eventstoredb.NewStore(client, domain.NewRegistry()), domain.LoginsStream(uuid.New()), logins(3)...)
					want = 3
				}
				want += end(t, uri)
				got := 0
				var last uint64
				count := func(raw *esdb.RecordedEvent) error {
					got++
					last = raw.Position.Commit
					return nil
				}
				if err := client.Follow(deadline(t), 0, false, count); err != nil || got != want {
					t.Fatalf("%d events, want %d; %v", got, want, err)
				}
				if err := client.Follow(deadline(t), last, false, count); err != nil || got != want {
					t.Errorf("from the last event on: %d events more, %v", got-want, err)
				}
				head, err := client.Head(deadline(t))
				if err != nil {
					t.Fatal(err)
				}
				for _, live := range []bool{false, true} {
					if err := client.Follow(deadline(t), head+1_000_000, live, count); !errors.Is(err, eventstoredb.ErrBeyondEnd) {
						t.Errorf("from beyond the end, live %v: %v, want %v", live, err, eventstoredb.ErrBeyondEnd)
					}
				}
			})
		}
	}
}

// Who is slow to handle events, or loses the connection, gets all of them, once and in order.
func TestFollowGoesOn(t *testing.T) {
	t.Parallel()
	for _, line := range lines(t) {
		t.Run(line.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(deadline(t))
			defer cancel()
			dir := t.TempDir()
			first := nodetest.Start(t, node.Config{Dir: dir, Like: line.Line})
			uri := first.ConnectionString()
			client := connect(t, uri)
			var mu sync.Mutex
			var got []uint64
			held := make(chan struct{})
			followed := make(chan error, 1)
			go func() {
				followed <- client.Follow(ctx, 0, true, func(raw *esdb.RecordedEvent) error {
					mu.Lock()
					got = append(got, raw.EventNumber)
					mu.Unlock()
					select {
					case <-held: // as a slow terminal does
					case <-ctx.Done():
					}
					return nil
				})
			}()
			appendForeign(t, uri, 1)
			awaittest.Until(t, "the first event to be handled", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(got) == 1
			})
			for range 50 {
				appendForeign(t, uri, 100)
			}
			addr := first.Addr()
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			nodetest.Start(t, node.Config{Dir: dir, Addr: addr, Like: line.Line})
			close(held)
			appendForeign(t, uri, 100)
			awaittest.Until(t, "every event to be handled", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(got) >= 5101
			})
			cancel()
			if err := <-followed; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			want := make([]uint64, 5101)
			for i := range want {
				want[i] = uint64(i)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d events, or not in order", len(got))
			}
		})
	}
}
