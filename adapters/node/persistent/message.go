package persistent

import (
	"time"

	"github.com/google/uuid"
)

// Point says how far a source has been worked through: the revision (of a stream) or position (of $all) of the last event
// that is done. BeforeAll is the point of a group that has done nothing.
type Point int64

// BeforeAll is the point before the first event of any source.
const BeforeAll Point = -1

// Message is one event on its way through a group. It names the event; the content travels in Payload only until it is
// handed to a consumer, so that a message which waits for its acknowledgement costs little memory.
type Message struct {
	// Stream and Revision find the event, or the link to it, as the group read it.
	Stream   string
	Revision uint64
	// Point of the event in the group's source. A replayed message has none.
	Point Point
	// ID is what acknowledgements name: that of the link when there is one.
	ID uuid.UUID
	// Pin is the hash by which the pinned strategies choose a consumer.
	Pin uint32
	// RetryCount is how often the message was delivered before.
	RetryCount int32
	// Replayed messages come from the parked stream, where Revision is their number.
	Replayed bool
	// Payload is the content for the consumer, nil once it was handed out; Size is its weight in bytes.
	Payload any
	Size    int

	before   Point // point of the source before this message
	sequence uint64
	consumer *Consumer
	twin     *Message // next message with the same ID at the same consumer
	deadline time.Time
	links    [2]link
}

// The two chains a message can be in: open, from reading to completion in the order of the source; and in flight, in the
// order of delivery, which is that of the deadlines.
const (
	openChain = iota
	flightChain
)

type link struct{ previous, next *Message }

// chain is an intrusive doubly linked list, so that a message leaves from the middle in constant time without an allocation.
type chain struct {
	kind        int
	first, last *Message
	length      int
}

func (c *chain) append(m *Message) {
	m.links[c.kind] = link{previous: c.last}
	if c.last == nil {
		c.first = m
	} else {
		c.last.links[c.kind].next = m
	}
	c.last = m
	c.length++
}

func (c *chain) remove(m *Message) {
	at := m.links[c.kind]
	if at.previous == nil {
		c.first = at.next
	} else {
		at.previous.links[c.kind].next = at.next
	}
	if at.next == nil {
		c.last = at.previous
	} else {
		at.next.links[c.kind].previous = at.previous
	}
	m.links[c.kind] = link{}
	c.length--
}

func (c *chain) next(m *Message) *Message { return m.links[c.kind].next }
