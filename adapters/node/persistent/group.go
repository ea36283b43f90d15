package persistent

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ErrTooManyConsumers says that a group has as many consumers as its settings allow.
var ErrTooManyConsumers = errors.New("maximum number of consumers reached")

// maxBufferBytes bounds the content of the messages that wait in one group.
const maxBufferBytes = 16 << 20

// maxParking bounds the messages that wait to be written to the parked stream, so that a store which cannot write stops the
// group instead of filling its memory.
const maxParking = 1000

// Group is the state of a persistent subscription: what was read, who has it, what is settled. It does no I/O, starts
// nothing, knows no clock but the times it is given, and is not safe for concurrent use.
//
// Every message that Offer or Replay brought in leaves in exactly one way: settled by a consumer, or parked.
type Group struct {
	settings  Settings
	consumers []*Consumer // in the order they came
	turn      int         // whose turn it is with RoundRobin
	buckets   []*Consumer // who owns a bucket with Pinned

	ready   []*Message // read, waiting for a consumer, in the order of the source
	retries []*Message // waiting to be delivered again, ahead of ready
	bytes   int        // content of both
	flight  chain      // delivered, not settled
	parking []Park     // given up, not yet written to the parked stream

	open     chain // read and not settled, in the order of the source
	read     Point // last event read
	sequence uint64
	replay   chain // replayed and not settled again, in the order of the parked stream

	checkpoint         Point
	checkpointSequence uint64
	checkpointTime     time.Time
	skipped            int64
	skipInterval       int64

	settled   int64
	delivered Point // last event given to a consumer
}

// Park is a message on its way to the parked stream, and why.
type Park struct {
	Message *Message
	Reason  string
}

// Verdict is a consumer's word on messages it was given.
type Verdict int

// The verdicts of a consumer.
const (
	// Ack: processed.
	Ack Verdict = iota
	// Skip: not to be delivered again.
	Skip
	// Retry: to be delivered again, unless that was done MaxRetryCount times.
	Retry
	// ParkIt: to be set aside in the parked stream.
	ParkIt
)

// NewGroup returns a group that goes on behind a point. skipInterval is the number of filtered-out events after which they
// alone are worth a checkpoint.
func NewGroup(settings Settings, from Point, skipInterval int64, now time.Time) *Group {
	return &Group{
		settings: settings, read: from, checkpoint: from, delivered: from, checkpointTime: now,
		skipInterval: max(skipInterval, 1),
		flight:       chain{kind: flightChain}, open: chain{kind: openChain}, replay: chain{kind: openChain},
	}
}

// Settings returns the group's settings.
func (g *Group) Settings() Settings { return g.settings }

// Consumers returns the connected consumers in the order they came.
func (g *Group) Consumers() []*Consumer { return g.consumers }

// Read returns how far the source was read.
func (g *Group) Read() Point { return g.read }

// Buffered returns how many messages wait for their first delivery and how many to be delivered again.
func (g *Group) Buffered() (ready, retries int) { return len(g.ready), len(g.retries) }

// InFlight returns how many messages consumers have not settled.
func (g *Group) InFlight() int { return g.flight.length }

// Settled returns how many messages were settled since the group was loaded.
func (g *Group) Settled() int64 { return g.settled }

// Delivered returns the last point given to a consumer.
func (g *Group) Delivered() Point { return g.delivered }

// LastCheckpoint returns the checkpoint that is durable.
func (g *Group) LastCheckpoint() Point { return g.checkpoint }

// Room returns how many more messages the group takes; 0 without consumers.
func (g *Group) Room() int {
	if len(g.consumers) == 0 || g.bytes >= maxBufferBytes || len(g.parking) >= maxParking {
		return 0
	}
	return max(g.settings.bufferLimit()-len(g.ready)-len(g.retries), 0)
}

// Offer brings in the next message of the source.
func (g *Group) Offer(m *Message) {
	g.sequence++
	m.sequence, m.before = g.sequence, g.read
	g.read = m.Point
	g.open.append(m)
	g.enqueue(&g.ready, m)
}

// Passed says that the source was read up to a point behind the last message without another one for the group: count events
// did not pass the filter.
func (g *Group) Passed(point Point, count int) {
	if point > g.read {
		g.read = point
		g.skipped += int64(count)
	}
}

// Replay brings in the next message of the parked stream.
func (g *Group) Replay(m *Message) {
	m.Replayed, m.RetryCount = true, 0
	g.replay.append(m)
	g.enqueue(&g.retries, m)
}

// FirstReplayed returns the number in the parked stream of the first message that is replayed and not settled again.
func (g *Group) FirstReplayed() (uint64, bool) {
	if g.replay.first == nil {
		return 0, false
	}
	return g.replay.first.Revision, true
}

func (g *Group) enqueue(queue *[]*Message, m *Message) {
	*queue = append(*queue, m)
	if m.Payload != nil {
		g.bytes += m.Size
	}
}

// Connect adds a consumer that takes bufferSize messages at a time.
func (g *Group) Connect(bufferSize int) (*Consumer, error) {
	if limit := int(g.settings.MaxSubscriberCount); limit > 0 && len(g.consumers) >= limit {
		return nil, ErrTooManyConsumers
	}
	c := &Consumer{bufferSize: bufferSize, inFlight: make(map[uuid.UUID]*Message)}
	g.consumers = append(g.consumers, c)
	return c, nil
}

// Disconnect removes a consumer; what it has not settled goes to others. That is never a reason to park: a rolling restart of
// the consumers would otherwise park healthy messages.
func (g *Group) Disconnect(c *Consumer) {
	g.consumers = slices.DeleteFunc(slices.Clone(g.consumers), func(other *Consumer) bool { return other == c })
	for m := g.flight.first; m != nil; {
		next := g.flight.next(m)
		if m.consumer == c {
			g.land(m)
			g.again(m)
		}
		m = next
	}
	g.freeBuckets(c)
}

// Update replaces the settings. The consumers have to be disconnected before.
func (g *Group) Update(settings Settings) {
	g.settings, g.buckets, g.turn = settings, nil, 0
}

// Settle applies a consumer's verdict to the messages with these ids; ids it does not hold are ignored.
func (g *Group) Settle(c *Consumer, verdict Verdict, reason string, ids ...uuid.UUID) {
	for _, id := range ids {
		m := c.inFlight[id]
		if m == nil {
			continue
		}
		g.land(m)
		switch verdict {
		case Retry:
			g.retry(m, "consumer asked for a retry: "+reason)
		case ParkIt:
			g.park(m, "consumer parked the message: "+reason)
		default:
			c.completed++
			g.finish(m)
		}
	}
}

// Gone settles a message that the consumer cannot be given because its event no longer exists.
func (g *Group) Gone(c *Consumer, m *Message) {
	if m.consumer == c {
		g.land(m)
		g.finish(m)
	}
}

// Expire takes back the messages whose consumers did not settle them in time.
func (g *Group) Expire(now time.Time) {
	for m := g.flight.first; m != nil && !m.deadline.IsZero() && !m.deadline.After(now); m = g.flight.first {
		g.land(m)
		g.retry(m, "consumer did not answer in time")
	}
}

// Deliver returns waiting messages to consumers with room, in order, through hand; hand may take the payload from the message.
func (g *Group) Deliver(now time.Time, hand func(*Consumer, *Message)) {
	if len(g.parking) >= maxParking {
		return
	}
	g.retries = g.deliver(g.retries, now, hand)
	g.ready = g.deliver(g.ready, now, hand)
}

func (g *Group) deliver(queue []*Message, now time.Time, hand func(*Consumer, *Message)) []*Message {
	free := 0
	for _, consumer := range g.consumers {
		free += max(consumer.AvailableSlots(), 0)
	}
	kept := queue[:0]
	for i, m := range queue {
		var to *Consumer
		if free > 0 {
			to = g.choose(m)
		}
		if to == nil {
			// Only a pinned message can be stuck while a later one is not.
			if free == 0 || !g.settings.Strategy.pins() {
				kept = append(kept, queue[i:]...)
				break
			}
			kept = append(kept, m)
			continue
		}
		free--
		if m.Payload != nil {
			g.bytes -= m.Size
		}
		to.hold(m)
		if timeout := g.settings.messageTimeout(); timeout > 0 {
			m.deadline = now.Add(timeout)
		}
		g.flight.append(m)
		if !m.Replayed {
			g.delivered = max(g.delivered, m.Point)
		}
		hand(to, m)
		m.Payload = nil
	}
	clear(queue[len(kept):])
	return kept
}

// Next returns the earliest time at which Expire or Checkpoint has something to do; false when there is none.
func (g *Group) Next() (time.Time, bool) {
	next, ready := g.checkpointDue()
	if first := g.flight.first; first != nil && !first.deadline.IsZero() && (!ready || first.deadline.Before(next)) {
		return first.deadline, true
	}
	return next, ready
}

// Parking returns at most limit messages to be written to the parked stream now. They stay until Parked confirms them.
func (g *Group) Parking(limit int) []Park {
	return slices.Clone(g.parking[:min(limit, len(g.parking))])
}

// Parked says that the first count messages of Parking are durable in the parked stream.
func (g *Group) Parked(count int) {
	for _, p := range g.parking[:count] {
		g.finish(p.Message)
	}
	g.parking = slices.Delete(g.parking, 0, count)
}

// land ends a message's flight.
func (g *Group) land(m *Message) {
	g.flight.remove(m)
	m.consumer.release(m)
	m.deadline = time.Time{}
}

func (g *Group) retry(m *Message, reason string) {
	if m.RetryCount >= g.settings.MaxRetryCount {
		g.park(m, reason)
		return
	}
	g.again(m)
}

func (g *Group) again(m *Message) {
	m.RetryCount++
	g.enqueue(&g.retries, m)
}

func (g *Group) park(m *Message, reason string) {
	g.parking = append(g.parking, Park{Message: m, Reason: reason})
}

func (g *Group) finish(m *Message) {
	g.settled++
	if m.Replayed {
		g.replay.remove(m)
		return
	}
	g.open.remove(m)
}
