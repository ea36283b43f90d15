package eventstoredb_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// When an older backup of the log was restored, nothing follows it from a place that it does not reach, not even once it has
// grown beyond; from a place that it does reach, all does.
func TestOlderLogIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, line := range lines(t) {
		t.Run(line.name, func(t *testing.T) {
			t.Parallel()
			dir, backup := t.TempDir(), t.TempDir()
			first := nodetest.Start(t, node.Config{Dir: dir, Like: line.Line})
			addr := first.Addr()
			client := connect(t, first.ConnectionString())
			store := eventstoredb.NewStore(client, domain.NewRegistry())
			source := newSource(client, 4096)
			eventstoredb.SetOlderLogTimeouts(source, 300*time.Millisecond, 0)
			stream := domain.LoginsStream(uuid.New())
			appendAll(t, store, stream, logins(5)...)
			replace := func(running *node.Node, dir string) *node.Node {
				if err := running.Close(); err != nil {
					t.Fatal(err)
				}
				started := nodetest.Start(t, node.Config{Addr: addr, Dir: dir, Like: line.Line})
				awaittest.Until(t, "the client to find the node again", func() bool {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					return client.Ping(ctx) == nil
				})
				return started
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			running := replace(first, dir)
			m := follow(t, source, &readModel{types: []string{succeededType}})
			haveJoined(t, source, 1)
			appendAll(t, store, stream, logins(10)...)
			m.mustHold(t, client)

			replace(running, backup)
			select {
			case <-m.ended:
			case <-deadline(t).Done():
				t.Fatal("the subscription goes on")
			}
			appendAll(t, store, stream, logins(100)...)
			refused := source.Subscriber("refused", m.types, func(context.Context) (engine.Place, error) { return m.place, nil })
			if _, err := refused.Subscribe(deadline(t), "refused"); !errors.Is(err, engine.ErrOtherLog) {
				t.Errorf("the older log has grown beyond the place: %v, want %v", err, engine.ErrOtherLog)
			}
			if len(m.taken) != 15 {
				t.Errorf("%d events were taken, want the 15 of the log that is gone", len(m.taken))
			}
			anew := follow(t, source, &readModel{types: []string{succeededType}})
			anew.mustHold(t, client)
		})
	}
}

// An older backup that has grown beyond the place before anybody looked is not followed either: neither by who was connected when
// the log was exchanged, nor by who comes later.
func TestOlderLogThatHasGrownIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, line := range lines(t) {
		t.Run(line.name, func(t *testing.T) {
			t.Parallel()
			dir, backup := t.TempDir(), t.TempDir()
			stream := domain.APIKeysStream(uuid.New())
			first := nodetest.Start(t, node.Config{Dir: dir, Like: line.Line})
			addr := first.Addr()
			client := connect(t, first.ConnectionString())
			store, source := eventstoredb.NewStore(client, domain.NewRegistry()), newSource(client, 4096)
			eventstoredb.SetOlderLogTimeouts(source, 300*time.Millisecond, time.Minute)
			appendAll(t, store, stream, keys(5)...)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			restored := nodetest.Start(t, node.Config{Dir: backup, Like: line.Line})
			appendAll(t, eventstoredb.NewStore(connect(t, restored.ConnectionString()), domain.NewRegistry()), stream, keys(100)...)
			if err := restored.Close(); err != nil {
				t.Fatal(err)
			}
			second := nodetest.Start(t, node.Config{Addr: addr, Dir: dir, Like: line.Line})
			m := &readModel{types: []string{domain.KeyIssued{}.EventType()}}
			m.recognise = func() error { // as read models do
				if m.mark == nil {
					return nil
				}
				held, err := source.Holds(t.Context(), *m.mark)
				if err == nil && !held {
					err = engine.ErrOtherLog
				}
				return err
			}
			follow(t, source, m)
			haveJoined(t, source, 1)
			appendAll(t, store, stream, keys(10)...)
			m.mustHold(t, client)
			mark := m.mark
			if held, err := source.Holds(t.Context(), *mark); !held || err != nil {
				t.Fatalf("the log holds what it has delivered: %t, %v", held, err)
			}
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			nodetest.Start(t, node.Config{Addr: addr, Dir: backup, Like: line.Line})
			select {
			case <-m.ended:
			case <-deadline(t).Done():
				t.Fatal("the subscription goes on")
			}
			if len(m.taken) != 15 {
				t.Errorf("%d events were taken, want the 15 of the log that is gone", len(m.taken))
			}
			if held, err := source.Holds(t.Context(), *mark); held || err != nil {
				t.Errorf("the older log holds what was delivered by the other: %t, %v", held, err)
			}
		})
	}
}

// keys are n events of a stream that forgets nothing.
func keys(n int) []commands.Proposed {
	proposed := logins(n)
	for i := range proposed {
		proposed[i].Event = domain.KeyIssued{CustomerID: uuid.New(), SubscriptionID: uuid.New(), Slot: domain.SlotPrimary}
	}
	return proposed
}
