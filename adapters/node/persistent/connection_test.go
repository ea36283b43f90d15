package persistent

import (
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// TestConnectionIsBoundedForAConsumerThatReadsNothing has messages expire again and again while nothing is taken.
func TestConnectionIsBoundedForAConsumerThatReadsNothing(t *testing.T) {
	t.Parallel()
	const size = 10
	r := newRig(t, func(s *Settings) { s.MessageTimeout, s.MaxRetryCount = 1, 1<<30 })
	consumer := r.connect(size)
	c := newConnection(consumer, "", "", r.now)
	for point := range Point(size) {
		r.Offer(&Message{Point: point, ID: uuid.New(), Payload: &content{event: &store.Event{}}, Size: maxContentBytes})
	}
	for range 100 {
		r.Deliver(r.now, func(_ *Consumer, m *Message) { c.push(m) })
		r.now = r.now.Add(1e9)
		r.Expire(r.now)
		if len(c.queue) > 2*size {
			t.Fatalf("%d deliveries wait for a consumer of %d", len(c.queue), size)
		}
	}
	withContent := 0
	r.Deliver(r.now, func(_ *Consumer, m *Message) { c.push(m) })
	for _, d := range c.take() {
		if d.content != nil {
			withContent++
		}
	}
	if withContent > 1 {
		t.Errorf("%d contents of the greatest size wait, want one at most", withContent)
	}
}
