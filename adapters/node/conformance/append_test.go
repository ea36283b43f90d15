package conformance_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

var appendSection = section{
	"answers with the revision and position of the last event": func(t *testing.T, s *suite) {
		stream := newStream()
		first := s.append(t, stream, esdb.NoStream{}, newEvents(3)...)
		second := s.append(t, stream, esdb.Any{}, newEvent())
		if first.NextExpectedVersion != 2 || second.NextExpectedVersion != 3 {
			t.Errorf("revisions %d and %d, want 2 and 3", first.NextExpectedVersion, second.NextExpectedVersion)
		}
		if first.CommitPosition == 0 || second.CommitPosition <= first.CommitPosition {
			t.Errorf("positions %v and %v do not rise", written(first), written(second))
		}
		events := s.read(t, stream, esdb.ReadStreamOptions{}, everything)
		if got := position(events[3]); got != written(second) {
			t.Errorf("event at %v, acknowledged at %v", got, written(second))
		}
	},
	"keeps every byte": func(t *testing.T, s *suite) {
		stream, want := newStream(), newEvent()
		want.EventType, want.ContentType = "Übergröße/✓ of @type", esdb.ContentTypeBinary
		want.Data, want.Metadata = []byte{0, 255, 1, '\n'}, []byte("not json")
		empty := newEvent()
		empty.Data, empty.Metadata = nil, nil
		s.append(t, stream, esdb.NoStream{}, want, empty)
		events := s.read(t, stream, esdb.ReadStreamOptions{}, everything)
		got := events[0].Event
		if got.EventID != want.EventID || got.EventType != want.EventType || got.StreamID != stream ||
			!bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.UserMetadata, want.Metadata) || got.ContentType != "application/octet-stream" {
			t.Errorf("read %+v, wrote %+v", got, want)
		}
		if got.CreatedDate.IsZero() || got.CreatedDate.After(events[1].Event.CreatedDate) {
			t.Errorf("created %v and %v", got.CreatedDate, events[1].Event.CreatedDate)
		}
		if got := events[1].Event; len(got.Data) != 0 || len(got.UserMetadata) != 0 || got.ContentType != "application/json" {
			t.Errorf("empty event came back as %+v", got)
		}
	},
	"takes stream names of any text": func(t *testing.T, s *suite) {
		stream := newStream() + " /ünï✓?x=1&y@z::'\""
		s.append(t, stream, esdb.NoStream{}, newEvent())
		if got := s.read(t, stream, esdb.ReadStreamOptions{}, everything); len(got) != 1 || got[0].Event.StreamID != stream {
			t.Errorf("read %v", got)
		}
	},
	"expected revision": func(t *testing.T, s *suite) {
		for _, test := range []struct {
			name     string
			existing int
			expected esdb.ExpectedRevision
			accepted bool
		}{
			{"any of nothing", 0, esdb.Any{}, true},
			{"any of three", 3, esdb.Any{}, true},
			{"no stream of nothing", 0, esdb.NoStream{}, true},
			{"no stream of three", 3, esdb.NoStream{}, false},
			{"exists of nothing", 0, esdb.StreamExists{}, false},
			{"exists of three", 3, esdb.StreamExists{}, true},
			{"revision of nothing", 0, esdb.Revision(0), false},
			{"last revision", 3, esdb.Revision(2), true},
			{"earlier revision", 3, esdb.Revision(1), false},
			{"later revision", 3, esdb.Revision(3), false},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				stream := newStream()
				if test.existing > 0 {
					s.append(t, stream, esdb.NoStream{}, newEvents(test.existing)...)
				}
				result, err := s.try(t, stream, test.expected, newEvent())
				if !test.accepted {
					wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
					return
				}
				if err != nil || result.NextExpectedVersion != uint64(test.existing) {
					t.Errorf("result %+v, error %v", result, err)
				}
			})
		}
	},
	"a repeated append of a revision is answered as the first": func(t *testing.T, s *suite) {
		stream, events := s.filled(t, 2)
		more := newEvents(3)
		first := s.append(t, stream, esdb.Revision(1), more...)
		s.append(t, stream, esdb.Revision(4), newEvent())
		again := s.append(t, stream, esdb.Revision(1), more...)
		if *again != *first {
			t.Errorf("answered %+v, first %+v", again, first)
		}
		if again := s.append(t, stream, esdb.NoStream{}, events...); again.NextExpectedVersion != 1 {
			t.Errorf("answered %+v, want revision 1", again)
		}
		part := s.append(t, stream, esdb.Revision(1), more[:2]...)
		if part.NextExpectedVersion != 3 {
			t.Errorf("the repeated first two were answered with %+v, want revision 3", part)
		}
		_, err := s.try(t, stream, esdb.Revision(1), more[1], more[0])
		wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		_, err = s.try(t, stream, esdb.Revision(1), more[0], newEvent())
		wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		if got := s.read(t, stream, esdb.ReadStreamOptions{}, everything); len(got) != 6 {
			t.Errorf("%d events, want 6", len(got))
		}
	},
	"a repeated append of any revision is answered as the first": func(t *testing.T, s *suite) {
		stream := newStream()
		events := newEvents(2)
		first := s.append(t, stream, esdb.Any{}, events...)
		again := s.append(t, stream, esdb.Any{}, events...)
		if again.NextExpectedVersion != first.NextExpectedVersion {
			t.Errorf("answered %+v, first %+v", again, first)
		}
		if again := s.append(t, stream, esdb.StreamExists{}, events...); again.NextExpectedVersion != 1 {
			t.Errorf("answered %+v, want revision 1", again)
		}
		_, err := s.try(t, stream, esdb.Any{}, events[0], newEvent())
		wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		if got := s.read(t, stream, esdb.ReadStreamOptions{}, everything); len(got) != 2 {
			t.Errorf("%d events, want 2", len(got))
		}
	},
	"one id may be in many streams": func(t *testing.T, s *suite) {
		event := newEvent()
		for range 2 {
			stream := newStream()
			s.append(t, stream, esdb.NoStream{}, event)
			if got := s.read(t, stream, esdb.ReadStreamOptions{}, everything); len(got) != 1 {
				t.Errorf("%d events, want 1", len(got))
			}
		}
	},
	"refuses what is too large, and writes nothing": func(t *testing.T, s *suite) {
		stream, large := newStream(), newEvent()
		large.Data = bytes.Repeat([]byte("x"), 1<<20+1)
		_, err := s.try(t, stream, esdb.Any{}, large)
		wantCode(t, err, esdb.ErrorCodeUnknown)
		half := slices.Repeat([]byte("x"), 600<<10)
		pair := newEvents(2)
		pair[0].Data, pair[1].Data = half, half
		_, err = s.try(t, stream, esdb.Any{}, pair...)
		wantCode(t, err, esdb.ErrorCodeUnknown)
		s.append(t, stream, esdb.NoStream{}, pair[0])
	},
	"concurrent writers of one stream leave no gap": func(t *testing.T, s *suite) {
		const writers, each = 8, 20
		stream := newStream()
		var wait sync.WaitGroup
		for writer := range writers {
			wait.Go(func() {
				for i := range each {
					if _, err := s.try(t, stream, esdb.Any{}, typed(fmt.Sprintf("%d-%d", writer, i))); err != nil {
						t.Errorf("append: %v", err)
					}
				}
			})
		}
		wait.Wait()
		events := s.read(t, stream, esdb.ReadStreamOptions{}, everything)
		if diff := cmp.Diff(span(0, writers*each), revisions(events)); diff != "" {
			t.Errorf("revisions (-want +got):\n%s", diff)
		}
		next := make(map[string]int)
		for i, e := range events {
			if i > 0 && position(e).Commit <= position(events[i-1]).Commit {
				t.Errorf("positions %v and %v do not rise", position(events[i-1]), position(e))
			}
			writer, number := "", 0
			if _, err := fmt.Sscanf(e.Event.EventType, "%1s-%d", &writer, &number); err != nil || number != next[writer] {
				t.Errorf("event %s out of its writer's order", e.Event.EventType)
			}
			next[writer]++
		}
	},
	"of concurrent writers of one revision exactly one wins": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		var won sync.Map
		var wait sync.WaitGroup
		for writer := range 8 {
			wait.Go(func() {
				if _, err := s.try(t, stream, esdb.Revision(0), newEvent()); err == nil {
					won.Store(writer, true)
				} else {
					wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
				}
			})
		}
		wait.Wait()
		count := 0
		won.Range(func(any, any) bool { count++; return true })
		if count != 1 {
			t.Errorf("%d writers won", count)
		}
	},
}
