package conformance_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

var persistentAllSection = section{
	"filtered, from a position": func(t *testing.T, s *suite) {
		tag := uuid.NewString()
		old := s.append(t, tag+"-1", esdb.Any{}, newEvent())
		from := s.append(t, tag+"-1", esdb.Any{}, newEvent())
		name := s.createAllGroup(t, esdb.PersistentAllSubscriptionOptions{
			StartFrom: written(from), Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{tag}},
		})
		s.filled(t, 3)
		s.append(t, tag+"-2", esdb.Any{}, newEvent())
		c := s.consumeAll(t, name, 10)
		for _, want := range []string{tag + "-1", tag + "-2"} {
			e := c.next()
			if e.Event.Event.StreamID != want || position(e.Event).Commit <= old.CommitPosition {
				t.Errorf("event in %s at %v, want one in %s", e.Event.Event.StreamID, position(e.Event), want)
			}
			if e.Event.Commit == nil || *e.Event.Commit != position(e.Event).Commit {
				t.Errorf("commit position %v", e.Event.Commit)
			}
			c.ack(e)
		}
	},
	"by event type, from the start, with park and replay": func(t *testing.T, s *suite) {
		kind := "Type" + uuid.NewString()
		s.append(t, newStream(), esdb.Any{}, typed(kind))
		name := s.createAllGroup(t, esdb.PersistentAllSubscriptionOptions{
			StartFrom: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^" + kind + "$"},
		})
		s.append(t, newStream(), esdb.Any{}, typed(kind))
		c := s.consumeAll(t, name, 10)
		first := c.next()
		c.nack(esdb.NackActionPark, first)
		c.ack(c.next())
		s.eventuallyAll(t, name, "parked", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == 1 })
		if err := s.client.ReplayParkedMessagesToAll(deadline(t), name, esdb.ReplayParkedMessagesOptions{}); err != nil {
			t.Fatal(err)
		}
		e := c.next()
		if e.Event.Event == nil || e.Event.Event.EventID != first.Event.Event.EventID {
			t.Errorf("replayed %+v", e.Event)
		}
		c.ack(e)
	},
	"pinned keeps a stream with one consumer": func(t *testing.T, s *suite) {
		tag := uuid.NewString()
		settings := esdb.SubscriptionSettingsDefault()
		settings.ConsumerStrategyName = esdb.ConsumerStrategyPinned
		name := s.createAllGroup(t, esdb.PersistentAllSubscriptionOptions{
			StartFrom: esdb.Start{}, Settings: &settings,
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{tag}},
		})
		type delivery struct {
			consumer int
			event    *esdb.RecordedEvent
		}
		got := make(chan delivery, 60)
		var running sync.WaitGroup
		defer running.Wait()
		for i := range 2 {
			c := s.consumeAll(t, name, 100)
			defer c.cancel()
			running.Go(func() {
				for {
					e := c.Recv()
					if e.EventAppeared == nil {
						return
					}
					got <- delivery{consumer: i, event: e.EventAppeared.Event.Event}
					if c.Ack(e.EventAppeared.Event) != nil {
						return
					}
				}
			})
		}
		for range 5 {
			for stream := range 12 {
				s.append(t, fmt.Sprintf("%s-%d", tag, stream), esdb.Any{}, newEvent())
			}
		}
		owner, next, used := make(map[string]int), make(map[string]uint64), make(map[int]bool)
		for range 60 {
			var d delivery
			select {
			case d = <-got:
			case <-time.After(waitTimeout):
				t.Fatal("an event is missing")
			}
			if known, ok := owner[d.event.StreamID]; ok && known != d.consumer {
				t.Errorf("stream %s went to both consumers", d.event.StreamID)
			}
			if d.event.EventNumber != next[d.event.StreamID] {
				t.Errorf("stream %s: event %d, want %d", d.event.StreamID, d.event.EventNumber, next[d.event.StreamID])
			}
			owner[d.event.StreamID], used[d.consumer] = d.consumer, true
			next[d.event.StreamID]++
		}
		if len(used) != 2 {
			t.Error("one consumer got all streams")
		}
	},
}
