package persistent

import "github.com/google/uuid"

// Consumer is one connected client of a group.
type Consumer struct {
	bufferSize int
	inFlight   map[uuid.UUID]*Message // by ID, chained through twin: ids are unique in a stream only
	count      int
	buckets    int
	completed  int64
}

// InFlight returns how many messages the consumer has not settled yet.
func (c *Consumer) InFlight() int { return c.count }

// AvailableSlots returns how many more messages the consumer takes.
func (c *Consumer) AvailableSlots() int { return c.bufferSize - c.count }

// Completed returns how many messages the consumer has settled.
func (c *Consumer) Completed() int64 { return c.completed }

func (c *Consumer) hasRoom() bool { return c.count < c.bufferSize }

func (c *Consumer) hold(m *Message) {
	m.consumer, m.twin = c, nil
	c.count++
	first, taken := c.inFlight[m.ID]
	if !taken {
		c.inFlight[m.ID] = m
		return
	}
	for first.twin != nil {
		first = first.twin
	}
	first.twin = m
}

// release takes one message out; of several with the same id the given one.
func (c *Consumer) release(m *Message) {
	c.count--
	if at := c.inFlight[m.ID]; at == m {
		if m.twin == nil {
			delete(c.inFlight, m.ID)
		} else {
			c.inFlight[m.ID] = m.twin
		}
	} else {
		for at.twin != m {
			at = at.twin
		}
		at.twin = m.twin
	}
	m.consumer, m.twin = nil, nil
}
