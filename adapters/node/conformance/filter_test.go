package conformance_test

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node"
)

var filterSection = section{
	"selects": func(t *testing.T, s *suite) {
		tag := uuid.NewString()
		for _, test := range []struct {
			name   string
			filter esdb.SubscriptionFilter
			wanted func(stream, kind string) bool
		}{
			{"stream prefixes", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"a" + tag, "b" + tag}},
				func(stream, _ string) bool { return !strings.HasPrefix(stream, "c") }},
			{"stream regex, unanchored", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: tag + "-[13]$"},
				func(stream, _ string) bool { return strings.HasSuffix(stream, "-1") || strings.HasSuffix(stream, "-3") }},
			{"type prefixes", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"Odd" + tag}},
				func(_, kind string) bool { return strings.HasPrefix(kind, "Odd") }},
			{"type regex", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^Even" + tag + "$"},
				func(_, kind string) bool { return strings.HasPrefix(kind, "Even") }},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				before := s.head(t)
				var want []string
				add := func(from, to int) {
					for i := from; i < to; i++ {
						stream := string("abc"[i%3]) + tag + "-" + string("0123"[i%4])
						kind := []string{"Even", "Odd"}[i%2] + tag
						e := typed(kind)
						e.EventID = uuid.New()
						s.append(t, stream, esdb.Any{}, e)
						if test.wanted(stream, kind) {
							want = append(want, e.EventID.String())
						}
					}
				}
				add(0, 24)
				sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{From: before, Filter: &test.filter, MaxSearchWindow: 4})
				ours := make(map[string]bool)
				for _, id := range want {
					ours[id] = true
				}
				check := func(count int) {
					t.Helper()
					for i := 0; i < count; {
						e := sub.events(1)[0].Event
						if !test.wanted(e.StreamID, e.EventType) {
							t.Errorf("event %s of type %s does not fit the filter", e.StreamID, e.EventType)
						}
						if len(want) > 0 && e.EventID.String() == want[0] {
							want = want[1:]
							i++
						} else if ours[e.EventID.String()] {
							t.Fatalf("event %s out of order", e.EventID)
						}
					}
				}
				check(len(want))
				add(24, 36)
				check(len(want))
			})
		}
	},
	"system events can be left out": func(t *testing.T, s *suite) {
		before := s.head(t)
		stream, _ := s.filled(t, 2)
		var metadata esdb.StreamMetadata
		metadata.SetMaxCount(100)
		s.setMetadata(t, stream, metadata)
		s.append(t, stream, esdb.Any{}, newEvent())
		sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{From: before, Filter: esdb.ExcludeSystemEventsFilter()})
		for seen := 0; seen < 3; {
			e := sub.events(1)[0].Event
			if strings.HasPrefix(e.EventType, "$") {
				t.Fatalf("event of type %s", e.EventType)
			}
			if e.StreamID == stream {
				seen++
			}
		}
	},
	"checkpoints come when nothing fits, and grow": func(t *testing.T, s *suite) {
		tag := uuid.NewString()
		before := s.head(t)
		sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{
			From: before, MaxSearchWindow: 5, CheckpointInterval: 2,
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{tag}},
		})
		s.filled(t, 30)
		s.filled(t, 30)
		for last, grown := before, 0; grown < 3; {
			at := sub.checkpoint()
			// The end of a history without a match repeats the place it began from.
			repeated := s.line == node.Line24 && at == last
			if at.Commit <= last.Commit && !repeated {
				t.Fatalf("checkpoint %v after %v", at, last)
			}
			if !repeated {
				grown++
			}
			last = at
		}
	},
	"a subscription from any checkpoint repeats and misses nothing": func(t *testing.T, s *suite) {
		tag := uuid.NewString()
		before := s.head(t)
		filter := &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{tag}}
		const rounds = 30
		for i := range rounds {
			s.append(t, newStream(), esdb.NoStream{}, newEvents(i%4+1)...)
			s.append(t, tag, esdb.Any{}, newEvent())
		}
		sub := s.subscribeAll(t, esdb.SubscribeToAllOptions{From: before, Filter: filter, MaxSearchWindow: 3})
		type point struct {
			at   esdb.Position
			next uint64
		}
		var points []point
		for next := uint64(0); next < rounds; {
			e := sub.next()
			if e.CheckPointReached != nil {
				points = append(points, point{at: *e.CheckPointReached, next: next})
			}
			if e.EventAppeared != nil {
				if e.EventAppeared.Event.EventNumber != next {
					t.Fatalf("event %d, want %d", e.EventAppeared.Event.EventNumber, next)
				}
				if len(points) > 0 && points[len(points)-1].at.Commit >= position(e.EventAppeared).Commit {
					t.Fatalf("checkpoint %v before the event at %v", points[len(points)-1].at, position(e.EventAppeared))
				}
				next++
			}
		}
		if len(points) < 5 {
			t.Fatalf("%d checkpoints", len(points))
		}
		for _, p := range points[:len(points)-1] {
			if p.next == rounds {
				break
			}
			again := s.subscribeAll(t, esdb.SubscribeToAllOptions{From: p.at, Filter: filter, MaxSearchWindow: 3})
			if got := again.events(1)[0].Event.EventNumber; got != p.next {
				t.Errorf("from %v begins with event %d, want %d", p.at, got, p.next)
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		}
	},
}

// checkpoint receives up to the next checkpoint.
func (s *subscription) checkpoint() esdb.Position {
	s.t.Helper()
	for {
		if e := s.next(); e.CheckPointReached != nil {
			return *e.CheckPointReached
		}
	}
}
