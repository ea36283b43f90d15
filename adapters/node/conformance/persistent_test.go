package conformance_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

const group = "a group/of ours"

var persistentSection = section{
	"begins where it was told to": func(t *testing.T, s *suite) {
		for _, test := range []struct {
			name  string
			start esdb.StreamPosition
			want  uint64
		}{
			{"start", esdb.Start{}, 0}, {"end", esdb.End{}, 5}, {"revision, inclusive", esdb.Revision(3), 3}, {"revision ahead", esdb.Revision(6), 6},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				stream, _ := s.filled(t, 5)
				s.createGroup(t, stream, test.start, nil)
				s.append(t, stream, esdb.Any{}, newEvents(2)...)
				c := s.consume(t, stream, 10)
				if e := c.next(); e.Event.OriginalEvent().EventNumber != test.want || e.RetryCount != 0 {
					t.Errorf("first event %d with retry count %d, want %d", e.Event.OriginalEvent().EventNumber, e.RetryCount, test.want)
				}
			})
		}
	},
	"a stream that is not there yet": func(t *testing.T, s *suite) {
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, nil)
		c := s.consume(t, stream, 10)
		events := newEvents(2)
		s.append(t, stream, esdb.NoStream{}, events...)
		for _, want := range events {
			e := c.next()
			if e.Event.Event.EventID != want.EventID {
				t.Errorf("event %s, want %s", e.Event.Event.EventID, want.EventID)
			}
			c.ack(e)
		}
	},
	"no more than the buffer without acknowledgement": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 5)
		s.createGroup(t, stream, esdb.Start{}, nil)
		c := s.consume(t, stream, 2)
		first, second := c.next(), c.next()
		info := s.info(t, stream)
		if len(info.Connections) != 1 || info.Connections[0].InFlightMessages != 2 || info.Connections[0].AvailableSlots != 0 {
			t.Errorf("connections %+v, want one with 2 in flight and no slot", info.Connections)
		}
		c.ack(first)
		if third := c.next(); third.Event.Event.EventNumber != 2 {
			t.Errorf("event %d, want 2", third.Event.Event.EventNumber)
		}
		c.ack(second)
		if fourth := c.next(); fourth.Event.Event.EventNumber != 3 {
			t.Errorf("event %d, want 3", fourth.Event.Event.EventNumber)
		}
	},
	"events arrive whole": func(t *testing.T, s *suite) {
		stream, events := s.filled(t, 1)
		s.createGroup(t, stream, esdb.Start{}, nil)
		got := s.consume(t, stream, 1).next().Event
		read := s.read(t, stream, esdb.ReadStreamOptions{}, 1)[0]
		if got.Event.EventID != events[0].EventID {
			t.Errorf("event %s, want %s", got.Event.EventID, events[0].EventID)
		}
		if diff := cmp.Diff(read.Event, got.Event); diff != "" {
			t.Errorf("read and delivered differ (-read +delivered):\n%s", diff)
		}
	},
	"retry": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		s.createGroup(t, stream, esdb.Start{}, func(settings *esdb.PersistentSubscriptionSettings) { settings.MaxRetryCount = 2 })
		c := s.consume(t, stream, 1)
		for retry := range 3 {
			e := c.next()
			if e.RetryCount != retry {
				t.Errorf("retry count %d, want %d", e.RetryCount, retry)
			}
			action := esdb.NackActionRetry
			if retry == 1 {
				action = esdb.NackActionUnknown
			}
			c.nack(action, e)
		}
		s.eventually(t, stream, "parked after the last retry", func(i *esdb.PersistentSubscriptionInfo) bool {
			return i.Stats.ParkedMessagesCount == 1
		})
	},
	"message timeout": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		s.createGroup(t, stream, esdb.Start{}, func(settings *esdb.PersistentSubscriptionSettings) { settings.MessageTimeout = 100 })
		c := s.consume(t, stream, 1)
		c.next()
		if e := c.next(); e.RetryCount != 1 || e.Event.Event.EventNumber != 0 {
			t.Errorf("event %d with retry count %d, want event 0 again", e.Event.Event.EventNumber, e.RetryCount)
		}
	},
	"skip and stop count as done": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 3)
		s.createGroup(t, stream, esdb.Start{}, eagerCheckpoints)
		c := s.consume(t, stream, 1)
		c.nack(esdb.NackActionSkip, c.next())
		c.nack(esdb.NackActionStop, c.next())
		c.ack(c.next())
		s.eventually(t, stream, "checkpoint at the last", func(i *esdb.PersistentSubscriptionInfo) bool {
			return i.Stats.LastCheckpointedEventRevision != nil && *i.Stats.LastCheckpointedEventRevision == 2
		})
		if parked := s.info(t, stream).Stats.ParkedMessagesCount; parked != 0 {
			t.Errorf("%d parked", parked)
		}
	},
	"park and replay": func(t *testing.T, s *suite) {
		stream, events := s.filled(t, 3)
		s.createGroup(t, stream, esdb.Start{}, nil)
		c := s.consume(t, stream, 3)
		for range events {
			c.nack(esdb.NackActionPark, c.next())
		}
		parked := func(count int64) func(*esdb.PersistentSubscriptionInfo) bool {
			return func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == count }
		}
		s.eventually(t, stream, "three parked", parked(3))
		if err := s.client.ReplayParkedMessages(deadline(t), stream, group, esdb.ReplayParkedMessagesOptions{StopAt: 2}); err != nil {
			t.Fatal(err)
		}
		for _, want := range events[:2] {
			e := c.next()
			if e.Event.Event.EventID != want.EventID || e.RetryCount != 0 {
				t.Errorf("replayed %s with retry count %d, want %s", e.Event.Event.EventID, e.RetryCount, want.EventID)
			}
			c.ack(e)
		}
		s.eventually(t, stream, "one parked", parked(1))
		if err := s.client.ReplayParkedMessages(deadline(t), stream, group, esdb.ReplayParkedMessagesOptions{}); err != nil {
			t.Fatal(err)
		}
		c.ack(c.next())
		s.eventually(t, stream, "none parked", parked(0))
		if err := s.client.ReplayParkedMessages(deadline(t), stream, group, esdb.ReplayParkedMessagesOptions{}); err != nil {
			t.Errorf("replay of nothing: %v", err)
		}
	},
	"parked messages are links in a stream": func(t *testing.T, s *suite) {
		stream, events := s.filled(t, 1)
		s.createGroup(t, stream, esdb.Start{}, nil)
		c := s.consume(t, stream, 1)
		c.nack(esdb.NackActionPark, c.next())
		s.eventually(t, stream, "parked", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == 1 })
		name := "$persistentsubscription-" + stream + "::" + group + "-parked"
		links := s.read(t, name, esdb.ReadStreamOptions{ResolveLinkTos: true}, everything)
		if len(links) != 1 || links[0].Event == nil || links[0].Event.EventID != events[0].EventID || links[0].Link == nil {
			t.Errorf("parked stream holds %+v", links)
		}
	},
	"a consumer's events go to another when it leaves": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 3)
		s.createGroup(t, stream, esdb.Start{}, nil)
		first := s.consume(t, stream, 3)
		for range 3 {
			first.next()
		}
		second := s.consume(t, stream, 3)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		seen := make(map[uint64]bool)
		for range 3 {
			e := second.next()
			seen[e.Event.Event.EventNumber] = true
			second.ack(e)
		}
		if len(seen) != 3 {
			t.Errorf("the other consumer got %v", seen)
		}
	},
	"round robin": func(t *testing.T, s *suite) {
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, nil)
		one, two := s.consume(t, stream, 10), s.consume(t, stream, 10)
		s.append(t, stream, esdb.Any{}, newEvents(6)...)
		for range 3 {
			one.ack(one.next())
			two.ack(two.next())
		}
	},
	"dispatch to single": func(t *testing.T, s *suite) {
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, func(settings *esdb.PersistentSubscriptionSettings) {
			settings.ConsumerStrategyName = esdb.ConsumerStrategyDispatchToSingle
		})
		one, two := s.consume(t, stream, 2), s.consume(t, stream, 10)
		s.append(t, stream, esdb.Any{}, newEvents(3)...)
		for want := range uint64(2) {
			if e := one.next(); e.Event.Event.EventNumber != want {
				t.Errorf("first consumer got %d, want %d", e.Event.Event.EventNumber, want)
			}
		}
		if e := two.next(); e.Event.Event.EventNumber != 2 {
			t.Errorf("second consumer got %d, want 2", e.Event.Event.EventNumber)
		}
	},
	"links are followed and acknowledged by the link": func(t *testing.T, s *suite) {
		target, _ := s.filled(t, 2)
		links := newStream()
		for revision := range 2 {
			s.append(t, links, esdb.Any{}, esdb.EventData{EventID: uuid.New(), EventType: "$>", Data: fmt.Appendf(nil, "%d@%s", revision, target)})
		}
		s.createGroup(t, links, esdb.Start{}, func(settings *esdb.PersistentSubscriptionSettings) {
			settings.ResolveLinkTos = true
			eagerCheckpoints(settings)
		})
		c := s.consume(t, links, 1)
		for range 2 {
			e := c.next()
			if e.Event.Link == nil || e.Event.Event == nil || e.Event.Event.StreamID != target {
				t.Fatalf("delivered %+v", e.Event)
			}
			c.ack(e)
		}
		s.eventually(t, links, "both done", func(i *esdb.PersistentSubscriptionInfo) bool {
			return i.Stats.LastCheckpointedEventRevision != nil && *i.Stats.LastCheckpointedEventRevision == 1
		})
	},
	"competing consumers get every event once": func(t *testing.T, s *suite) {
		const count, consumers = 400, 4
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, nil)
		got := make(chan uint64, count)
		var running sync.WaitGroup
		defer running.Wait()
		for range consumers {
			c := s.consume(t, stream, 7)
			defer c.cancel()
			running.Go(func() {
				for {
					e := c.Recv()
					if e.EventAppeared == nil {
						return
					}
					got <- e.EventAppeared.Event.Event.EventNumber
					if err := c.Ack(e.EventAppeared.Event); err != nil {
						return
					}
				}
			})
		}
		for range count / 50 {
			s.append(t, stream, esdb.Any{}, newEvents(50)...)
		}
		seen := make(map[uint64]bool)
		for range count {
			select {
			case number := <-got:
				if seen[number] {
					t.Errorf("event %d came twice", number)
				}
				seen[number] = true
			case <-time.After(waitTimeout):
				t.Fatalf("%d of %d events", len(seen), count)
			}
		}
	},
}
