package persistent_test

import (
	"testing"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// BenchmarkConsume delivers events of 600 bytes to one consumer that acknowledges in batches of 50.
func BenchmarkConsume(b *testing.B) {
	h := &host{tb: b, dir: b.TempDir()}
	h.start()
	b.Cleanup(func() { h.close() })
	for written := 0; written < b.N; written += 500 {
		batch := events(500, "e")
		for i := range batch {
			batch[i].Data = make([]byte, 600)
		}
		h.append("s", batch...)
	}
	h.create("s", "g", nil)
	c := h.connect("s", "g", 500)
	b.ResetTimer()
	ids := make([]*shared.UUID, 0, 50)
	for i := range b.N {
		ids = append(ids, c.next().GetEvent().GetId())
		if len(ids) == cap(ids) || i == b.N-1 {
			if err := c.stream.Send(&pb.ReadReq{Content: &pb.ReadReq_Ack_{Ack: &pb.ReadReq_Ack{Ids: ids}}}); err != nil {
				b.Fatal(err)
			}
			ids = ids[:0]
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
