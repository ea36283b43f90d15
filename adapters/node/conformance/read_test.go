package conformance_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node"
)

var readSection = section{
	"from a place in a direction": func(t *testing.T, s *suite) {
		stream, events := s.filled(t, 10)
		for _, test := range []struct {
			name      string
			direction esdb.Direction
			from      esdb.StreamPosition
			count     uint64
			want      []uint64
		}{
			{"forwards", esdb.Forwards, esdb.Start{}, everything, span(0, 10)},
			{"forwards, limited", esdb.Forwards, esdb.Start{}, 3, span(0, 3)},
			{"forwards from a revision", esdb.Forwards, esdb.Revision(7), everything, span(7, 10)},
			{"forwards from the last", esdb.Forwards, esdb.Revision(9), everything, span(9, 10)},
			{"forwards from beyond", esdb.Forwards, esdb.Revision(10), everything, span(0, 0)},
			{"backwards", esdb.Backwards, esdb.End{}, 3, []uint64{9, 8, 7}},
			{"backwards from a revision", esdb.Backwards, esdb.Revision(1), everything, []uint64{1, 0}},
			{"backwards from beyond", esdb.Backwards, esdb.Revision(100), 2, []uint64{9, 8}},
			{"backwards from the start", esdb.Backwards, esdb.Start{}, everything, []uint64{0}},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				got := s.read(t, stream, esdb.ReadStreamOptions{Direction: test.direction, From: test.from}, test.count)
				if diff := cmp.Diff(test.want, revisions(got)); diff != "" {
					t.Errorf("revisions (-want +got):\n%s", diff)
				}
				for _, e := range got {
					if e.Event.EventID != events[e.Event.EventNumber].EventID {
						t.Errorf("event %d has id %s", e.Event.EventNumber, e.Event.EventID)
					}
					if e.Commit == nil || *e.Commit != e.Event.Position.Commit {
						t.Errorf("event %d: commit position %v, event at %v", e.Event.EventNumber, e.Commit, e.Event.Position)
					}
				}
			})
		}
	},
	"many events come in order": func(t *testing.T, s *suite) {
		stream := newStream()
		const count = 2500
		for from := 0; from < count; from += 500 {
			s.append(t, stream, esdb.Any{}, newEvents(500)...)
		}
		if diff := cmp.Diff(span(0, count), revisions(s.read(t, stream, esdb.ReadStreamOptions{}, everything))); diff != "" {
			t.Errorf("forwards (-want +got):\n%s", diff)
		}
		back := s.read(t, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, everything)
		if len(back) != count || back[0].Event.EventNumber != count-1 || back[count-1].Event.EventNumber != 0 {
			t.Errorf("backwards: %d events", len(back))
		}
	},
	"a stream that is not there is not found": func(t *testing.T, s *suite) {
		for _, direction := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
			want := esdb.ErrorCodeResourceNotFound
			if direction == esdb.Forwards && s.line != node.OwnLine {
				want = esdb.ErrorCodeUnknown
			}
			_, err := s.tryRead(t, newStream(), esdb.ReadStreamOptions{Direction: direction, From: esdb.End{}}, 1)
			wantCode(t, err, want)
		}
	},
	"links are followed when asked for": func(t *testing.T, s *suite) {
		target, _ := s.filled(t, 1)
		links := newStream()
		link := func(data string) esdb.EventData {
			return esdb.EventData{EventID: uuid.New(), EventType: "$>", ContentType: esdb.ContentTypeBinary, Data: []byte(data)}
		}
		s.append(t, links, esdb.NoStream{}, link("0@"+target), link("5@"+target))
		plain := s.read(t, links, esdb.ReadStreamOptions{}, everything)
		if len(plain) != 2 || plain[0].Link != nil || plain[0].Event.EventType != "$>" {
			t.Errorf("not followed: %+v", plain[0])
		}
		followed := s.read(t, links, esdb.ReadStreamOptions{ResolveLinkTos: true}, everything)
		if len(followed) != 2 || followed[0].Link == nil || followed[0].Event == nil || followed[0].Event.StreamID != target {
			t.Fatalf("followed: %+v", followed)
		}
		if followed[1].Event != nil || followed[1].Link == nil {
			t.Errorf("a link to nothing came as %+v", followed[1])
		}
		if *followed[0].Commit != followed[0].Link.Position.Commit {
			t.Errorf("commit position %d is not the link's", *followed[0].Commit)
		}
	},
}

var readAllSection = section{
	"holds every event in the order of its acknowledgement": func(t *testing.T, s *suite) {
		before := s.head(t)
		one, two := newStream(), newStream()
		var want []uuid.UUID
		for range 3 {
			for _, stream := range []string{one, two} {
				events := newEvents(2)
				s.append(t, stream, esdb.Any{}, events...)
				want = append(want, events[0].EventID, events[1].EventID)
			}
		}
		var got []uuid.UUID
		last := uint64(0)
		for _, e := range s.readAll(t, esdb.ReadAllOptions{From: before}, everything) {
			if position(e).Commit <= last {
				t.Errorf("position %d after %d", position(e).Commit, last)
			}
			last = position(e).Commit
			if e.Event.StreamID == one || e.Event.StreamID == two {
				got = append(got, e.Event.EventID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ids (-want +got):\n%s", diff)
		}
	},
	"from a position, forwards with and backwards without the event there": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 3)
		middle := s.read(t, stream, esdb.ReadStreamOptions{From: esdb.Revision(1)}, 1)[0]
		at := position(middle)
		forwards := s.readAll(t, esdb.ReadAllOptions{From: at}, 1)
		if len(forwards) != 1 || forwards[0].Event.EventID != middle.Event.EventID {
			t.Errorf("forwards begins with %+v", forwards)
		}
		backwards := s.readAll(t, esdb.ReadAllOptions{Direction: esdb.Backwards, From: at}, 1)
		if len(backwards) != 1 || position(backwards[0]).Commit >= at.Commit {
			t.Errorf("backwards begins with %+v", backwards)
		}
	},
	"nothing lies before the start and behind the end": func(t *testing.T, s *suite) {
		s.filled(t, 1)
		if got := s.readAll(t, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.Start{}}, 5); len(got) != 0 {
			t.Errorf("backwards from the start: %d events", len(got))
		}
		if got := s.readAll(t, esdb.ReadAllOptions{From: esdb.End{}}, 5); len(got) != 0 {
			t.Errorf("forwards from the end: %d events", len(got))
		}
	},
	"is limited": func(t *testing.T, s *suite) {
		s.filled(t, 5)
		for _, options := range []esdb.ReadAllOptions{{}, {Direction: esdb.Backwards, From: esdb.End{}}} {
			if got := s.readAll(t, options, 4); len(got) != 4 {
				t.Errorf("%+v: %d events, want 4", options, len(got))
			}
		}
	},
}

// head returns a position before everything that is appended from now on.
func (s *suite) head(t *testing.T) esdb.Position {
	t.Helper()
	return written(s.append(t, newStream(), esdb.NoStream{}, newEvent()))
}
