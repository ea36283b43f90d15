package eventstoredb_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// BenchmarkLiveReadModels appends events while six live read models take them, three of which want none of them. One
// iteration is one event.
func BenchmarkLiveReadModels(b *testing.B) {
	client, err := eventstoredb.Connect(nodetest.Start(b, node.Config{}).ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	source := eventstoredb.NewSource(client, domain.NewRegistry(), slog.New(slog.DiscardHandler))
	var taken, live sync.WaitGroup
	for i := range 6 {
		wanted := i%2 == 0
		eventType := failedType
		if wanted {
			eventType = succeededType
			taken.Add(1)
		}
		live.Add(1)
		subscriber := source.Subscriber("bench", []string{eventType}, func(context.Context) (engine.Place, error) { return engine.Place{}, nil })
		defer func() { _ = subscriber.Close() }()
		messages, err := subscriber.Subscribe(b.Context(), "bench")
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			isLive := false
			left := b.N
			for msg := range messages {
				batch, _ := engine.BatchOf(msg)
				msg.Ack()
				if batch.CaughtUp && !isLive {
					isLive = true
					live.Done()
				}
				if left -= len(batch.Events); wanted && left <= 0 {
					wanted = false
					taken.Done()
				}
			}
		}()
	}
	live.Wait()
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= 100 {
		events := make([]commands.Proposed, min(left, 100))
		for i := range events {
			events[i] = login(uuid.New())
		}
		if _, err := store.Append(b.Context(), domain.LoginsStream(uuid.New()), commands.NoStream, events); err != nil {
			b.Fatal(err)
		}
	}
	taken.Wait()
}
