package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

func open(tb testing.TB, dir string, options store.Options) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), dir, options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func events(n, size int) []store.NewEvent {
	out := make([]store.NewEvent, n)
	for i := range out {
		out[i] = store.NewEvent{ID: uuid.New(), Type: "Checked", ContentType: store.ContentTypeJSON, Data: make([]byte, size)}
	}
	return out
}

func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := open(b, b.TempDir(), store.Options{})
			var n atomic.Int64
			b.SetParallelism(clients / min(clients, 2))
			if clients == 1 {
				for b.Loop() {
					if _, err := s.Append(context.Background(), store.Write{Stream: "one-1", Expected: store.ExpectAny, Events: events(1, 600)}); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					stream := fmt.Sprintf("many-%d", n.Add(1))
					for pb.Next() {
						if _, err := s.Append(context.Background(), store.Write{Stream: stream, Expected: store.ExpectAny, Events: events(1, 600)}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkReadAll(b *testing.B) {
	s := open(b, b.TempDir(), store.Options{})
	for range 100 {
		if _, err := s.Append(context.Background(), store.Write{Stream: "one-1", Expected: store.ExpectAny, Events: events(500, 600)}); err != nil {
			b.Fatal(err)
		}
	}
	read := 0
	b.ResetTimer()
	for b.Loop() {
		for from := uint64(0); ; {
			page, err := s.ReadAll(context.Background(), store.Forwards, from, 500)
			if err != nil {
				b.Fatal(err)
			}
			read += len(page.Events)
			if page.End {
				break
			}
			from = page.Next
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "events/s")
}
