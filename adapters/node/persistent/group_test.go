package persistent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// usual are settings like the clients' defaults.
func usual() Settings {
	return Settings{
		MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500, ReadBatchSize: 20,
		HistoryBufferSize: 500, Strategy: RoundRobin, MessageTimeout: 30_000, CheckpointAfter: 2_000,
	}
}

// rig is a group with what it handed out.
type rig struct {
	*Group
	t    *testing.T
	now  time.Time
	last Point
	got  map[*Consumer][]string
}

func newRig(t *testing.T, change func(*Settings)) *rig {
	t.Helper()
	settings := usual()
	if change != nil {
		change(&settings)
	}
	return &rig{
		Group: NewGroup(settings, BeforeAll, 100, noon), t: t, now: noon, last: BeforeAll, got: make(map[*Consumer][]string),
	}
}

func (r *rig) offer(count int) {
	for range count {
		r.offerPinned(0)
	}
}

func (r *rig) offerPinned(pin uint32) {
	r.last++
	r.Offer(&Message{Stream: "s", Revision: uint64(r.last), Point: r.last, ID: idOf(r.last), Pin: pin, Payload: "content", Size: 7})
}

func idOf(p Point) uuid.UUID { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, p)) }

func ids(points ...Point) []uuid.UUID {
	all := make([]uuid.UUID, len(points))
	for i, p := range points {
		all[i] = idOf(p)
	}
	return all
}

func (r *rig) connect(bufferSize int) *Consumer {
	r.t.Helper()
	c, err := r.Connect(bufferSize)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// deliver hands out what can be, and returns what the consumer got now: points, with the retry count behind a slash.
func (r *rig) deliver(c *Consumer) []string {
	r.Deliver(r.now, func(to *Consumer, m *Message) {
		text := fmt.Sprint(m.Point)
		if m.Replayed {
			text = fmt.Sprintf("parked %d", m.Revision)
		}
		if m.RetryCount > 0 {
			text += fmt.Sprintf("/%d", m.RetryCount)
		}
		r.got[to] = append(r.got[to], text)
	})
	got := r.got[c]
	delete(r.got, c)
	return got
}

func (r *rig) want(got []string, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestGroupFillsTheBufferOfAConsumerAndNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.offer(5)
	c := r.connect(2)
	r.want(r.deliver(c), "0", "1")
	r.want(r.deliver(c))
	r.Settle(c, Ack, "", ids(1, 99)...)
	r.want(r.deliver(c), "2")
	if c.InFlight() != 2 || c.AvailableSlots() != 0 {
		t.Errorf("in flight %d, free %d, want 2 and 0", c.InFlight(), c.AvailableSlots())
	}
}

func TestGroupRoundRobin(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	a, b := r.connect(10), r.connect(2)
	r.offer(7)
	r.want(r.deliver(a), "0", "2", "4", "5", "6")
	r.want(r.deliver(b), "1", "3")
}

func TestGroupDispatchToSingle(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.Strategy = DispatchToSingle })
	a, b := r.connect(3), r.connect(10)
	r.offer(5)
	r.want(r.deliver(a), "0", "1", "2")
	r.want(r.deliver(b), "3", "4")
	r.Settle(a, Ack, "", ids(0)...)
	r.offer(2)
	r.want(r.deliver(a), "5")
	r.want(r.deliver(b), "6")
}

func TestGroupPinnedKeepsAStreamWithItsConsumer(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.Strategy = Pinned })
	a, b := r.connect(2), r.connect(10)
	for _, pin := range []uint32{1, 2, 1, 1, 2, 1} {
		r.offerPinned(pin)
	}
	r.want(r.deliver(a), "0", "2")
	r.want(r.deliver(b), "1", "4")
	late := r.connect(10)
	r.offerPinned(3)
	r.want(r.deliver(late), "6")
	r.Settle(a, Retry, "", ids(2)...)
	r.want(r.deliver(a), "2/1")
	r.Disconnect(a)
	r.want(r.deliver(b), "0/1", "2/2", "3", "5")
}

func TestGroupRetriesAndParksAtTheLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.MaxRetryCount = 2 })
	c := r.connect(1)
	r.offer(2)
	r.want(r.deliver(c), "0")
	r.Settle(c, Retry, "", ids(0)...)
	r.want(r.deliver(c), "0/1")
	r.Settle(c, Retry, "", ids(0)...)
	r.want(r.deliver(c), "0/2")
	r.Settle(c, Retry, "no luck", ids(0)...)
	r.want(r.deliver(c), "1")
	parks := r.Parking(10)
	if len(parks) != 1 || parks[0].Message.Point != 0 || parks[0].Reason != "consumer asked for a retry: no luck" {
		t.Fatalf("parking %+v, want message 0", parks)
	}
	r.Settle(c, Ack, "", ids(1)...)
	if mark, ahead := r.Unwritten(); ahead {
		t.Errorf("mark %v before the parked message is durable", mark)
	}
	r.Parked(1)
	if mark, _ := r.Unwritten(); mark.Point != 1 {
		t.Errorf("mark %d, want 1", mark.Point)
	}
}

func TestGroupVerdicts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.connect(4)
	r.offer(4)
	r.deliver(c)
	r.Settle(c, Skip, "", ids(0)...)
	r.Settle(c, ParkIt, "broken", ids(1)...)
	r.Settle(c, Ack, "", ids(2)...)
	r.Settle(c, Ack, "", ids(2)...)
	if c.InFlight() != 1 || len(r.Parking(10)) != 1 || r.Settled() != 2 || c.Completed() != 2 {
		t.Errorf("in flight %d, parking %d, settled %d, completed %d; want 1, 1, 2, 2", c.InFlight(), len(r.Parking(10)), r.Settled(), c.Completed())
	}
}

func TestGroupExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.MessageTimeout = 1000; s.MaxRetryCount = 1 })
	a, b := r.connect(1), r.connect(1)
	r.offer(1)
	r.deliver(a)
	if due, ok := r.Next(); !ok || !due.Equal(noon.Add(time.Second)) {
		t.Fatalf("next %v %v, want a second after noon", due, ok)
	}
	r.now = noon.Add(999 * time.Millisecond)
	r.Expire(r.now)
	r.want(r.deliver(b))
	r.now = noon.Add(time.Second)
	r.Expire(r.now)
	r.want(r.deliver(b), "0/1")
	r.Settle(a, Ack, "", ids(0)...) // too late: it is with the other one
	if r.InFlight() != 1 {
		t.Fatalf("a late acknowledgement settled another consumer's message")
	}
	r.now = noon.Add(2 * time.Second)
	r.Expire(r.now)
	if len(r.Parking(10)) != 1 {
		t.Errorf("not parked after the last retry")
	}
}

func TestGroupNeverExpiresWithoutATimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.MessageTimeout = 0 })
	c := r.connect(1)
	r.offer(1)
	r.deliver(c)
	r.Expire(noon.Add(1000 * time.Hour))
	if due, ok := r.Next(); ok || c.InFlight() != 1 {
		t.Errorf("next %v %v, in flight %d", due, ok, c.InFlight())
	}
}

func TestGroupGivesAMissingConsumersMessagesToOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.MaxRetryCount = 0 })
	a, b := r.connect(3), r.connect(1)
	r.offer(4)
	r.want(r.deliver(a), "0", "2", "3")
	r.want(r.deliver(b), "1")
	r.Disconnect(a)
	r.Settle(b, Ack, "", ids(1)...)
	r.want(r.deliver(b), "0/1")
	if len(r.Parking(10)) != 0 {
		t.Error("parked for the departure of a consumer")
	}
}

func TestGroupLimitsConsumers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.MaxSubscriberCount = 1 })
	c := r.connect(1)
	if _, err := r.Connect(1); !errors.Is(err, ErrTooManyConsumers) {
		t.Fatalf("second consumer: %v", err)
	}
	r.Disconnect(c)
	r.connect(1)
}

func TestGroupWithTwoEventsOfOneID(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.connect(10)
	for point := range Point(3) {
		r.Offer(&Message{Point: point, ID: idOf(7)})
	}
	r.want(r.deliver(c), "0", "1", "2")
	r.Settle(c, Ack, "", idOf(7))
	if mark, _ := r.Unwritten(); mark.Point != 0 || c.InFlight() != 2 {
		t.Fatalf("mark %d, in flight %d after one acknowledgement; want 0 and 2", mark.Point, c.InFlight())
	}
	r.Settle(c, Ack, "", idOf(7), idOf(7), idOf(7))
	if mark, _ := r.Unwritten(); mark.Point != 2 || c.InFlight() != 0 {
		t.Errorf("mark %d, in flight %d; want 2 and 0", mark.Point, c.InFlight())
	}
}

func TestGroupCheckpointRules(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.MinCheckpointCount, s.MaxCheckpointCount, s.CheckpointAfter = 2, 4, 1000 })
	c := r.connect(100)
	r.offer(10)
	r.deliver(c)
	due := func(at time.Duration) Point {
		mark, ok := r.Checkpoint(noon.Add(at))
		if !ok {
			return BeforeAll
		}
		return mark.Point
	}
	r.Settle(c, Ack, "", ids(1, 2, 3, 4)...)
	if got := due(time.Hour); got != BeforeAll {
		t.Errorf("checkpoint %d behind an open event", got)
	}
	r.Settle(c, Ack, "", ids(0)...)
	if got := due(0); got != 4 {
		t.Errorf("checkpoint %d after max_checkpoint_count, want 4 at once", got)
	}
	mark, _ := r.Checkpoint(noon)
	r.Checkpointed(mark, noon)
	r.Settle(c, Ack, "", ids(5)...)
	if got := due(time.Hour); got != BeforeAll {
		t.Errorf("checkpoint %d with less than min_checkpoint_count", got)
	}
	r.Settle(c, Ack, "", ids(6)...)
	if got := due(999 * time.Millisecond); got != BeforeAll {
		t.Errorf("checkpoint %d before checkpoint_after", got)
	}
	if got := due(time.Second); got != 6 {
		t.Errorf("checkpoint %d after checkpoint_after, want 6", got)
	}
	r.Settle(c, Ack, "", ids(7)...)
	r.Checkpointed(Mark{Point: 6, sequence: 7}, noon)
	if r.LastCheckpoint() != 6 {
		t.Errorf("last checkpoint %d, want 6", r.LastCheckpoint())
	}
}

func TestGroupCheckpointsWhatTheFilterPassedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil) // skip interval 100
	c := r.connect(1)
	r.Passed(98, 99)
	if mark, due := r.Checkpoint(noon.Add(time.Hour)); due {
		t.Errorf("checkpoint %v before the interval", mark)
	}
	r.Passed(99, 1)
	mark, due := r.Checkpoint(noon.Add(time.Hour))
	if !due || mark.Point != 99 {
		t.Fatalf("checkpoint %v %v, want 99", mark, due)
	}
	r.Checkpointed(mark, noon)
	r.last = 99
	r.offer(1)
	r.Passed(500, 400)
	r.deliver(c)
	if mark, due := r.Checkpoint(noon.Add(time.Hour)); due {
		t.Errorf("checkpoint %v behind an open event", mark)
	}
}

func TestGroupReplays(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.connect(10)
	r.offer(1)
	for revision := uint64(4); revision < 7; revision++ {
		r.Replay(&Message{Stream: "parked", Revision: revision, ID: uuid.New(), RetryCount: 3})
	}
	r.want(r.deliver(c), "parked 4", "parked 5", "parked 6", "0")
	if first, ok := r.FirstReplayed(); !ok || first != 4 {
		t.Errorf("first replayed %d %v, want 4", first, ok)
	}
	if mark, ahead := r.Unwritten(); ahead {
		t.Errorf("replayed messages moved the checkpoint to %v", mark)
	}
}

func TestGroupBoundsWhatItTakes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Settings) { s.HistoryBufferSize = 3 })
	if r.Room() != 0 {
		t.Errorf("room %d without consumers", r.Room())
	}
	c := r.connect(1)
	r.offer(2)
	if r.Room() != 1 {
		t.Errorf("room %d, want 1", r.Room())
	}
	r.deliver(c)
	if r.Room() != 2 {
		t.Errorf("room %d after a delivery, want 2", r.Room())
	}
	r.last++
	r.Offer(&Message{Point: r.last, ID: idOf(r.last), Payload: "large", Size: maxBufferBytes})
	if r.Room() != 0 {
		t.Errorf("room %d with %d bytes waiting", r.Room(), maxBufferBytes)
	}
}
