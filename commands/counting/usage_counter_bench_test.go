package counting_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// BenchmarkCounter is the counter's own cost: the store is in memory and inference is left out. 64 clients send checks
// for one subscription, and for a hundred.
func BenchmarkCounter(b *testing.B) {
	for _, subscriptions := range []int{1, 100} {
		b.Run(fmt.Sprintf("subscriptions=%d", subscriptions), func(b *testing.B) {
			f := newUsageFixture(b, 1<<40, domain.OverageStop)
			owners := []counting.KeyOwner{f.owner}
			for len(owners) < subscriptions {
				owners = append(owners, f.subscription(1<<40, domain.OverageStop))
			}
			counter := f.node()
			var clients atomic.Int64
			b.SetParallelism(32) // 64 clients on two processors
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := int(clients.Add(1)); pb.Next(); i++ {
					reservation, err := counter.Begin(context.Background(), owners[i%len(owners)], "")
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := reservation.Count(context.Background(), by, "", domain.Judgement{}); err != nil {
						b.Error(err)
					}
					reservation.Release()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
		})
	}
}
