// Package sourcetest is the suite that every engine.Source passes. It knows no read model.
package sourcetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

var registry = domain.NewRegistry()

// testTimeout bounds every test of the suite.
const testTimeout = time.Minute

// Log is a log to test on, which others may have written to but do not write to during the test.
type Log struct {
	Source engine.Source
	// Append records events of ours at the end of the log and returns the position of the last.
	Append func(t *testing.T, stream string, events ...domain.Event) uint64
	// AppendForeign records n events of somebody else at the end of the log and returns the position of the last.
	AppendForeign func(t *testing.T, n int) uint64
}

// Run checks an implementation. Open returns a log, which may hold events of others and nothing of ours.
func Run(t *testing.T, open func(t *testing.T) Log) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, suite){
		"events come once, in order, and no others":          inOrder,
		"a batch comes again after a nack":                   again,
		"the next batch waits for the ack":                   oneAtATime,
		"a subscription begins behind the place":             behindThePlace,
		"nothing is lost on a log without a match":           withoutAMatch,
		"nothing is lost or comes twice while the log grows": whileItGrows,
		"caught up means that the head was reached":          caughtUp,
		"the place reaches an end that is somebody else's":   foreignEnd,
		"a place beyond the end is refused":                  beyondTheEnd,
		"an event is held at its own place alone":            holds,
		"what is behind a place tells its age":               ageBehind,
		"closing ends a subscription":                        closing,
		"an ended context ends a subscription":               endedContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
			t.Cleanup(cancel)
			test(t, suite{Log: open(t), ctx: ctx, stream: domain.LoginsStream(uuid.New())})
		})
	}
}

type suite struct {
	Log

	ctx    context.Context
	stream string
}

func succeeded(n int) []domain.Event {
	events := make([]domain.Event, n)
	for i := range events {
		events[i] = domain.LoginSucceeded{CustomerID: uuid.New(), At: time.Unix(int64(i), 0).UTC()}
	}
	return events
}

func failed(n int) []domain.Event {
	events := succeeded(n)
	for i := range events {
		login := events[i].(domain.LoginSucceeded)
		events[i] = domain.LoginFailed{CustomerID: login.CustomerID, At: login.At}
	}
	return events
}

// reader is who subscribes: it takes batches as a projection does and keeps the place that they lead to.
type reader struct {
	suite

	t          *testing.T
	types      []string
	subscriber message.Subscriber
	messages   <-chan *message.Message

	mu    sync.Mutex
	place engine.Place
	asked int // how often the place was

	events   []domain.Recorded
	caughtUp bool
}

// follow subscribes behind a place to the logins that succeeded.
func (s suite) follow(t *testing.T, place engine.Place) *reader {
	t.Helper()
	r := s.reader(place)
	r.t = t
	var err error
	if r.messages, err = r.subscriber.Subscribe(s.ctx, "test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.subscriber.Close() })
	return r
}

func (s suite) reader(place engine.Place) *reader {
	r := &reader{suite: s, place: place, types: []string{domain.LoginSucceeded{}.EventType()}}
	r.subscriber = s.Source.Subscriber("test", r.types, func(context.Context) (engine.Place, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked++
		return r.place, nil
	})
	return r
}

// receive returns the next batch, which is not answered yet.
func (r *reader) receive() (engine.Batch, *message.Message) {
	r.t.Helper()
	select {
	case msg, open := <-r.messages:
		if !open {
			r.t.Fatal("the subscription has ended")
		}
		batch, ok := engine.BatchOf(msg)
		if !ok {
			r.t.Fatal("a message without a batch")
		}
		return batch, msg
	case <-r.ctx.Done():
		r.t.Fatalf("no batch comes any more, after %d events up to %d", len(r.events), r.place.Position)
	}
	panic("unreachable")
}

// take applies a batch and acknowledges it.
func (r *reader) take(batch engine.Batch, msg *message.Message) {
	r.t.Helper()
	before := r.place.Position
	for _, e := range batch.Events {
		switch {
		case !slices.Contains(r.types, e.Event.EventType()):
			r.t.Fatalf("%s was not asked for", e.Event.EventType())
		case e.Position <= before, e.Position > batch.Position:
			r.t.Fatalf("position %d comes after %d in a batch up to %d", e.Position, before, batch.Position)
		}
		r.wantBytes(e)
		before = e.Position
	}
	if batch.Position < r.place.Position {
		r.t.Fatalf("the place goes back from %d to %d", r.place.Position, batch.Position)
	}
	if head := r.head(); batch.Position > head {
		r.t.Fatalf("position %d is told, and the log ends at %d", batch.Position, head)
	}
	r.events = append(r.events, batch.Events...)
	r.caughtUp = r.caughtUp || batch.CaughtUp
	r.mu.Lock()
	r.place = engine.Place{Position: batch.Position, Started: true}
	r.mu.Unlock()
	msg.Ack()
}

// wantBytes checks that an event comes with the bytes that it was decoded from.
func (r *reader) wantBytes(e domain.Recorded) {
	r.t.Helper()
	var meta domain.Metadata
	if err := json.Unmarshal(e.Raw.Metadata, &meta); err != nil {
		r.t.Fatalf("revision %d of %s comes with %q for its metadata: %v", e.Revision, e.Stream, e.Raw.Metadata, err)
	}
	if event, err := registry.Decode(e.Event.EventType(), meta.SchemaVersion, e.Raw.Data); err != nil || event != e.Event {
		r.t.Fatalf("revision %d of %s comes as %v with %q for its data: %v", e.Revision, e.Stream, e.Event, e.Raw.Data, err)
	}
}

// until takes batches until a condition holds.
func (r *reader) until(holds func() bool) {
	r.t.Helper()
	for !holds() {
		r.take(r.receive())
	}
}

func (r *reader) head() uint64 {
	r.t.Helper()
	head, err := r.Source.Head(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return head
}

// wantRevisions checks which events of the test's stream came.
func (r *reader) wantRevisions(want ...uint64) {
	r.t.Helper()
	var got []uint64
	for _, e := range r.events {
		if e.Stream == r.stream {
			got = append(got, e.Revision)
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("revisions %v came, want %v", got, want)
	}
}

func upTo(n uint64) []uint64 {
	revisions := make([]uint64, n)
	for i := range revisions {
		revisions[i] = uint64(i)
	}
	return revisions
}

func ageBehind(t *testing.T, s suite) {
	behind := func(place uint64) time.Time {
		t.Helper()
		recorded, err := s.Source.RecordedBehind(s.ctx, place)
		if err != nil {
			t.Fatal(err)
		}
		return recorded
	}
	s.Append(t, s.stream, succeeded(3)...)
	events, err := s.Source.ReadStream(s.ctx, s.stream)
	if err != nil || len(events) != 3 {
		t.Fatalf("the stream holds %v, %v", events, err)
	}
	for i, event := range events[:2] { // a store may write something of its own between two of them
		if got := behind(event.Position); got.Before(event.RecordedAt) || got.After(events[i+1].RecordedAt) {
			t.Errorf("behind %d something was recorded at %v; want from %v to %v", event.Position, got, event.RecordedAt, events[i+1].RecordedAt)
		}
	}
	end := events[2].Position
	for !behind(end).IsZero() { // until the store has written what it does
		if end, err = s.Source.Head(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if foreign := s.AppendForeign(t, 1); foreign > end && behind(end).Before(events[2].RecordedAt) {
		t.Errorf("behind %d is %d, recorded at %v", end, foreign, behind(end))
	}
}

func inOrder(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(40)...)
	s.Append(t, s.stream, failed(40)...)
	s.AppendForeign(t, 40)
	last := s.Append(t, s.stream, succeeded(5)...)
	r := s.follow(t, engine.Place{})
	r.until(func() bool { return r.place.Position >= last && r.caughtUp })
	last = s.Append(t, s.stream, append(failed(1), succeeded(1)...)...)
	r.until(func() bool { return r.place.Position >= last })
	r.wantRevisions(append(upTo(40), 80, 81, 82, 83, 84, 86)...)
}

func again(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(10)...)
	r := s.follow(t, engine.Place{})
	var refused engine.Batch
	for len(refused.Events) == 0 {
		batch, msg := r.receive()
		if len(batch.Events) == 0 {
			r.take(batch, msg)
			continue
		}
		refused = batch
		msg.Nack()
	}
	batch, msg := r.receive()
	if len(batch.Events) == 0 || batch.Events[0].ID != refused.Events[0].ID || batch.Position < refused.Position {
		t.Errorf("after a nack %d events up to %d came, before it %d up to %d", len(batch.Events), batch.Position, len(refused.Events), refused.Position)
	}
	r.take(batch, msg)
	r.until(func() bool { return len(r.events) >= 10 })
	r.wantRevisions(upTo(10)...)
}

func oneAtATime(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(10)...)
	r := s.follow(t, engine.Place{})
	batch, msg := r.receive()
	s.Append(t, s.stream, succeeded(10)...)
	select {
	case <-r.messages:
		t.Error("a batch came before the one before it was answered")
	default:
	}
	r.take(batch, msg)
	r.until(func() bool { return len(r.events) >= 20 })
	r.wantRevisions(upTo(20)...)
}

func behindThePlace(t *testing.T, s suite) {
	place := s.Append(t, s.stream, succeeded(3)...)
	last := s.Append(t, s.stream, succeeded(2)...)
	r := s.follow(t, engine.Place{Position: place, Started: true})
	r.until(func() bool { return r.place.Position >= last && r.caughtUp })
	r.wantRevisions(3, 4)

	r = s.follow(t, engine.Place{Position: last, Started: true})
	r.until(func() bool { return r.caughtUp })
	last = s.Append(t, s.stream, succeeded(1)...)
	r.until(func() bool { return r.place.Position >= last })
	r.wantRevisions(5)
	if r.asked == 0 {
		t.Error("nobody asked for the place")
	}
}

// A new installation: what the store says about a log in which nothing was found yet must not hide what comes.
func withoutAMatch(t *testing.T, s suite) {
	r := s.follow(t, engine.Place{})
	r.until(func() bool { return r.caughtUp })
	for n := range uint64(3) {
		s.AppendForeign(t, 3)
		s.Append(t, s.stream, succeeded(1)...)
		r.until(func() bool { return len(r.events) > int(n) })
	}
	r.wantRevisions(upTo(3)...)
}

func whileItGrows(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(300)...)
	r := s.follow(t, engine.Place{})
	for n := 0; len(r.events) < 600; n++ {
		batch, msg := r.receive()
		if n < 30 {
			s.Append(t, s.stream, succeeded(10)...)
			s.AppendForeign(t, 10)
		}
		if n%10 == 1 {
			msg.Nack()
			continue
		}
		r.take(batch, msg)
	}
	r.wantRevisions(upTo(600)...)
}

func caughtUp(t *testing.T, s suite) {
	for _, prepare := range []func(){
		func() {},
		func() { s.AppendForeign(t, 3) },
		func() { s.Append(t, s.stream, failed(1)...) },
		func() { s.Append(t, s.stream, succeeded(1)...) },
		func() { s.AppendForeign(t, 2000) },
	} {
		prepare()
		for _, place := range []engine.Place{{}, {Position: s.reader(engine.Place{}).at(t), Started: true}} {
			head := s.reader(place).at(t) // before subscribing: a store may go on writing for itself
			r := s.follow(t, place)
			r.until(func() bool { return r.caughtUp })
			if r.place.Position < head {
				t.Errorf("caught up at %d, and the log had ended at %d before", r.place.Position, head)
			}
			if err := r.subscriber.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// at returns where the log ends.
func (r *reader) at(t *testing.T) uint64 {
	t.Helper()
	r.t = t
	return r.head()
}

func foreignEnd(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(1)...)
	r := s.follow(t, engine.Place{})
	r.until(func() bool { return r.caughtUp })
	for range 2 {
		last := s.AppendForeign(t, 3)
		r.until(func() bool { return r.place.Position >= last })
	}
	r.wantRevisions(0)
}

func beyondTheEnd(t *testing.T, s suite) {
	last := s.Append(t, s.stream, succeeded(3)...)
	for _, position := range []uint64{last + 1_000_000, 1 << 62} {
		r := s.reader(engine.Place{Position: position, Started: true})
		if _, err := r.subscriber.Subscribe(s.ctx, "test"); !errors.Is(err, engine.ErrOtherLog) {
			t.Errorf("a place at %d on a log that ends at %d: %v, want %v", position, last, err, engine.ErrOtherLog)
		}
		if err := r.subscriber.Close(); err != nil {
			t.Error(err)
		}
	}
}

func holds(t *testing.T, s suite) {
	stream := domain.APIKeysStream(uuid.New())
	s.AppendForeign(t, 2)
	issued := domain.KeyIssued{CustomerID: uuid.New(), SubscriptionID: uuid.New(), Slot: domain.SlotPrimary}
	last := s.Append(t, stream, issued, issued, issued)
	events, err := s.Source.ReadStream(s.ctx, stream)
	if err != nil || len(events) != 3 || events[2].Position != last {
		t.Fatalf("%d events were recorded, %v", len(events), err)
	}
	mark := engine.MarkOf(events)
	if mark == nil || mark.ID != events[2].ID {
		t.Fatalf("the newest event is %v", mark)
	}
	for name, change := range map[string]func(*engine.Mark){
		"":                   func(*engine.Mark) {},
		"another id":         func(m *engine.Mark) { m.ID = events[1].ID },
		"an earlier place":   func(m *engine.Mark) { m.Revision = 1 },
		"a later place":      func(m *engine.Mark) { m.Revision = 3 },
		"another position":   func(m *engine.Mark) { m.Position-- },
		"of no stream":       func(m *engine.Mark) { m.Stream = domain.APIKeysStream(uuid.New()) },
		"of another's place": func(m *engine.Mark) { m.ID, m.Position = uuid.New(), last+1 },
	} {
		changed := *mark
		change(&changed)
		if held, err := s.Source.Holds(s.ctx, changed); err != nil || held != (name == "") {
			t.Errorf("%s: held: %t, %v", name, held, err)
		}
	}
}

func closing(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(3)...)
	r := s.follow(t, engine.Place{})
	r.receive() // and is never answered
	if err := r.subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantEnd()
}

func endedContext(t *testing.T, s suite) {
	s.Append(t, s.stream, succeeded(3)...)
	r := s.reader(engine.Place{})
	r.t = t
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var err error
	if r.messages, err = r.subscriber.Subscribe(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	r.until(func() bool { return r.caughtUp })
	cancel()
	r.wantEnd()
	if err := r.subscriber.Close(); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) wantEnd() {
	r.t.Helper()
	select {
	case msg, open := <-r.messages:
		if open {
			batch, _ := engine.BatchOf(msg)
			r.t.Errorf("a batch up to %d came after the end", batch.Position)
		}
	case <-r.ctx.Done():
		r.t.Error("the subscription does not end")
	}
}
