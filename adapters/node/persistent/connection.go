package persistent

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxContentBytes bounds the content that waits for one slow consumer; that of further messages is read again when their turn
// comes, so that a large buffer_size costs no more memory than the names of its events.
const maxContentBytes = 4 << 20

// delivery is a message on its way to a consumer.
type delivery struct {
	message    *Message
	retryCount int32
	content    *content // nil = to be read again
}

// stale returns whether the message was taken back from the consumer since. The caller holds the group's lock.
func (d delivery) stale(c *Consumer) bool {
	return d.message.consumer != c || d.message.RetryCount != d.retryCount
}

// connection is the queue between a group and one consumer's call. The consumer's buffer size bounds it.
type connection struct {
	consumer *Consumer
	from     string
	name     string
	since    time.Time
	measured int64 // completed at the last measurement

	mu    sync.Mutex
	queue []delivery
	bytes int           // of content in the queue
	wake  chan struct{} // holds one token while there may be something in the queue

	once    sync.Once
	dropped chan struct{}
	reason  error
}

func newConnection(consumer *Consumer, from, name string, now time.Time) *connection {
	return &connection{
		consumer: consumer, from: from, name: name, since: now,
		wake: make(chan struct{}, 1), dropped: make(chan struct{}),
	}
}

// push takes the content over from the message. The caller holds the group's lock.
func (c *connection) push(m *Message) {
	d := delivery{message: m, retryCount: m.RetryCount}
	c.mu.Lock()
	if len(c.queue) >= 2*c.consumer.bufferSize {
		// A consumer that reads nothing gets the same messages again and again, each time they expire.
		c.queue = slices.DeleteFunc(c.queue, func(d delivery) bool { return d.stale(c.consumer) })
	}
	if found, ok := m.Payload.(*content); ok && c.bytes < maxContentBytes {
		d.content = found
		c.bytes += m.Size
	}
	c.queue = append(c.queue, d)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *connection) take() []delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.queue
	c.queue, c.bytes = nil, 0
	return taken
}

// drop ends the call with an error; only the first reason counts.
func (c *connection) drop(reason error) {
	c.once.Do(func() {
		c.reason = reason
		close(c.dropped)
	})
}

// settlement is a consumer's verdict on some messages.
type settlement struct {
	verdict Verdict
	reason  string
	ids     []uuid.UUID
}
