package conformance_test

import (
	"context"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
)

var subscribeSection = section{
	"history, then caught up, then live": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 50)
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		if diff := cmp.Diff(span(0, 50), revisions(sub.events(50))); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		sub.caughtUp()
		s.append(t, stream, esdb.Any{}, newEvents(3)...)
		if diff := cmp.Diff(span(50, 53), revisions(sub.events(3))); diff != "" {
			t.Errorf("live (-want +got):\n%s", diff)
		}
	},
	"from a revision, without it": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 5)
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Revision(2)})
		if diff := cmp.Diff([]uint64{3, 4}, revisions(sub.events(2))); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	},
	"from the end": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 5)
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.End{}})
		s.append(t, stream, esdb.Any{}, newEvent())
		if diff := cmp.Diff([]uint64{5}, revisions(sub.events(1))); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	},
	"to a stream that is not there yet": func(t *testing.T, s *suite) {
		stream := newStream()
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		if s.line != node.Line23 {
			sub.caughtUp()
		}
		s.append(t, stream, esdb.NoStream{}, newEvents(2)...)
		if diff := cmp.Diff(span(0, 2), revisions(sub.events(2))); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if s.line == node.Line23 {
			sub.caughtUp()
		}
	},
	"no event is missed or doubled at the seam": func(t *testing.T, s *suite) {
		const count = 300
		stream := newStream()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range count {
				if _, err := s.try(t, stream, esdb.Any{}, newEvent()); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		}()
		for range 4 {
			sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
			if diff := cmp.Diff(span(0, count), revisions(sub.events(count))); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		}
		<-done
	},
	"a slow reader loses nothing": func(t *testing.T, s *suite) {
		stream := newStream()
		s.append(t, stream, esdb.Any{}, newEvent())
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		sub.events(1)
		// More than the windows of the transport hold, before the reader takes the next one.
		for range 40 {
			large := newEvents(10)
			for i := range large {
				large[i].Data = slices.Repeat([]byte("12345678"), 4<<10)
			}
			s.append(t, stream, esdb.Any{}, large...)
		}
		var got []uint64
		for len(got) < 400 {
			e := sub.Recv()
			if e.SubscriptionDropped != nil {
				if s.line != node.Line23 {
					t.Fatalf("subscription dropped after %d events: %v", len(got), e.SubscriptionDropped.Error)
				}
				if status.Code(e.SubscriptionDropped.Error) != codes.Aborted {
					t.Errorf("dropped with %v, want aborted", e.SubscriptionDropped.Error)
				}
				sub = s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Revision(uint64(len(got)))})
			}
			if e.EventAppeared != nil {
				got = append(got, e.EventAppeared.OriginalEvent().EventNumber)
			}
		}
		if diff := cmp.Diff(span(1, 401), got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	},
	"to $all from a position, without the event there": func(t *testing.T, s *suite) {
		stream, events := s.filled(t, 3)
		at := position(s.read(t, stream, esdb.ReadStreamOptions{}, 1)[0])
		sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{From: at})
		for _, want := range events[1:] {
			for {
				e := sub.events(1)[0]
				if position(e).Commit <= at.Commit {
					t.Fatalf("event at %v, not behind %v", position(e), at)
				}
				if e.Event.StreamID == stream {
					if e.Event.EventID != want.EventID {
						t.Errorf("event %s, want %s", e.Event.EventID, want.EventID)
					}
					break
				}
			}
		}
	},
	"from the end of $all it is caught up at once, on the lines without a checkpoint": func(t *testing.T, s *suite) {
		sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{
			From: esdb.End{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{newStream()}},
		})
		if s.line == node.OwnLine {
			sub.caughtUp() // with a checkpoint at the head, which is one it can begin from again
		} else if e := sub.next(); e.CaughtUp == nil {
			t.Errorf("first message %+v, want caught up", e)
		}
	},
	"to $all from the end": func(t *testing.T, s *suite) {
		before, _ := s.filled(t, 3)
		sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{From: esdb.End{}})
		after, _ := s.filled(t, 1)
		for e := sub.events(1)[0]; e.Event.StreamID != after; e = sub.events(1)[0] {
			if e.Event.StreamID == before {
				t.Fatal("an event from before the subscription was delivered")
			}
		}
	},
	"a delete does not end it": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		sub.events(1)
		if _, err := s.client.DeleteStream(deadline(t), stream, esdb.DeleteStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		s.append(t, stream, esdb.Any{}, newEvent())
		if diff := cmp.Diff([]uint64{1}, revisions(sub.events(1))); diff != "" {
			t.Errorf("after the delete (-want +got):\n%s", diff)
		}
	},
	"ends when the reader closes it": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		sub.events(1)
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
		for e := sub.Recv(); e.SubscriptionDropped == nil; e = sub.Recv() {
			if e.EventAppeared != nil {
				t.Errorf("event after closing: %+v", e.EventAppeared)
			}
		}
	},
}

// subscription receives within the test's waitTimeout.
type subscription struct {
	*esdb.Subscription
	t *testing.T
}

func (s *suite) subscribe(t *testing.T, stream string, options esdb.SubscribeToStreamOptions) *subscription {
	t.Helper()
	sub, err := s.client.SubscribeToStream(deadline(t), stream, options)
	return watched(t, sub, err)
}

func (s *suite) subscribeAll(t *testing.T, options esdb.SubscribeToAllOptions) *subscription {
	t.Helper()
	sub, err := s.client.SubscribeToAll(deadline(t), options)
	return watched(t, sub, err)
}

func watched(t *testing.T, sub *esdb.Subscription, err error) *subscription {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(t.Context(), func() { _ = sub.Close() })
	t.Cleanup(func() {
		stop()
		_ = sub.Close()
	})
	return &subscription{Subscription: sub, t: t}
}

// next receives the next message.
func (s *subscription) next() *esdb.SubscriptionEvent {
	s.t.Helper()
	e := s.Recv()
	if e.SubscriptionDropped != nil {
		s.t.Fatalf("subscription dropped: %v", e.SubscriptionDropped.Error)
	}
	return e
}

// events receives that many events, whatever else comes between.
func (s *subscription) events(count int) []*esdb.ResolvedEvent {
	s.t.Helper()
	found := make([]*esdb.ResolvedEvent, 0, count)
	for len(found) < count {
		if e := s.next(); e.EventAppeared != nil {
			found = append(found, e.EventAppeared)
		}
	}
	return found
}

// caughtUp receives up to the message that the history is through.
func (s *subscription) caughtUp() {
	s.t.Helper()
	for {
		e := s.next()
		if e.CaughtUp != nil {
			return
		}
		if e.EventAppeared != nil {
			s.t.Fatalf("event %d before caught up", e.EventAppeared.OriginalEvent().EventNumber)
		}
	}
}
