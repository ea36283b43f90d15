package conformance_test

import (
	"context"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// consumer receives within the test's waitTimeout, and until cancel. Close is not for one whose goroutine may be acknowledging.
type consumer struct {
	*esdb.PersistentSubscription
	t      *testing.T
	cancel context.CancelFunc
}

func (s *suite) consume(t *testing.T, stream string, bufferSize uint32) *consumer {
	t.Helper()
	ctx, cancel := context.WithCancel(deadline(t))
	options := esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: bufferSize}
	sub, err := s.client.SubscribeToPersistentSubscription(ctx, stream, group, options)
	return connected(t, cancel, sub, err)
}

func (s *suite) consumeAll(t *testing.T, name string, bufferSize uint32) *consumer {
	t.Helper()
	ctx, cancel := context.WithCancel(deadline(t))
	options := esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: bufferSize}
	sub, err := s.client.SubscribeToPersistentSubscriptionToAll(ctx, name, options)
	return connected(t, cancel, sub, err)
}

func connected(t *testing.T, cancel context.CancelFunc, sub *esdb.PersistentSubscription, err error) *consumer {
	t.Helper()
	t.Cleanup(cancel)
	if err != nil {
		t.Fatal(err)
	}
	return &consumer{PersistentSubscription: sub, t: t, cancel: cancel}
}

func (c *consumer) next() *esdb.EventAppeared {
	c.t.Helper()
	e := c.Recv()
	if e.EventAppeared == nil {
		c.t.Fatalf("no event but %+v", e.SubscriptionDropped)
	}
	return e.EventAppeared
}

func (c *consumer) ack(e *esdb.EventAppeared) {
	c.t.Helper()
	if err := c.Ack(e.Event); err != nil {
		c.t.Fatal(err)
	}
}

func (c *consumer) nack(action esdb.NackAction, e *esdb.EventAppeared) {
	c.t.Helper()
	if err := c.Nack("a reason", action, e.Event); err != nil {
		c.t.Fatal(err)
	}
}

func (s *suite) createGroup(t *testing.T, stream string, start esdb.StreamPosition, change func(*esdb.PersistentSubscriptionSettings)) {
	t.Helper()
	settings := esdb.SubscriptionSettingsDefault()
	if change != nil {
		change(&settings)
	}
	options := esdb.PersistentStreamSubscriptionOptions{StartFrom: start, Settings: &settings}
	if err := s.client.CreatePersistentSubscription(deadline(t), stream, group, options); err != nil {
		t.Fatalf("create a group on %s: %v", stream, err)
	}
}

// createAllGroup makes a group on $all with a name of its own, and deletes it after the test: a real server would go on
// reading for it.
func (s *suite) createAllGroup(t *testing.T, options esdb.PersistentAllSubscriptionOptions) string {
	t.Helper()
	name := "conformance-" + uuid.NewString()
	if err := s.client.CreatePersistentSubscriptionToAll(deadline(t), name, options); err != nil {
		t.Fatalf("create a group on $all: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
		defer cancel()
		if err := s.client.DeletePersistentSubscriptionToAll(ctx, name, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
			t.Errorf("delete the group: %v", err)
		}
	})
	return name
}

func eagerCheckpoints(settings *esdb.PersistentSubscriptionSettings) {
	settings.CheckpointLowerBound, settings.CheckpointUpperBound = 1, 1
}

func (s *suite) info(t *testing.T, stream string) *esdb.PersistentSubscriptionInfo {
	t.Helper()
	info, err := s.client.GetPersistentSubscriptionInfo(deadline(t), stream, group, esdb.GetPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func (s *suite) eventually(t *testing.T, stream, what string, holds func(*esdb.PersistentSubscriptionInfo) bool) {
	t.Helper()
	eventually(t, what, func() *esdb.PersistentSubscriptionInfo { return s.info(t, stream) }, holds)
}

func (s *suite) eventuallyAll(t *testing.T, name, what string, holds func(*esdb.PersistentSubscriptionInfo) bool) {
	t.Helper()
	eventually(t, what, func() *esdb.PersistentSubscriptionInfo {
		info, err := s.client.GetPersistentSubscriptionInfoToAll(deadline(t), name, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return info
	}, holds)
}

func eventually(t *testing.T, what string, info func() *esdb.PersistentSubscriptionInfo, holds func(*esdb.PersistentSubscriptionInfo) bool) {
	t.Helper()
	for end := time.Now().Add(waitTimeout); ; <-time.After(20 * time.Millisecond) {
		found := info()
		if holds(found) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not so in time: %+v", what, found.Stats)
		}
	}
}
