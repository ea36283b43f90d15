package conformance_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// TestRestart stops and starts the embedded node between two halves of what clients do.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startEmbedded(t, dir)
	s := newSuite(t, first.address, nodetest.Line(t), true)
	kept, keptEvents := s.filled(t, 5)
	truncated, _ := s.filled(t, 5)
	var metadata esdb.StreamMetadata
	metadata.SetTruncateBefore(3)
	s.setMetadata(t, truncated, metadata)
	deleted, _ := s.filled(t, 2)
	if _, err := s.client.DeleteStream(deadline(t), deleted, esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	tombstoned, _ := s.filled(t, 2)
	if _, err := s.client.TombstoneStream(deadline(t), tombstoned, esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	s.createGroup(t, kept, esdb.Start{}, eagerCheckpoints)
	c := s.consume(t, kept, 3)
	one, two, three := c.next(), c.next(), c.next()
	c.ack(one)
	c.nack(esdb.NackActionPark, three)
	s.eventually(t, kept, "one done and one parked", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.ParkedMessagesCount == 1 && i.Stats.LastCheckpointedEventRevision != nil
	})
	_ = two // stays unacknowledged
	before := s.readAll(t, esdb.ReadAllOptions{}, everything)
	open := s.subscribe(t, kept, esdb.SubscribeToStreamOptions{From: esdb.End{}})

	first.stop()
	for e := open.Recv(); e.SubscriptionDropped == nil; e = open.Recv() {
		if e.EventAppeared != nil {
			t.Errorf("event %+v while the node stopped", e.EventAppeared)
		}
	}
	second := startEmbedded(t, dir)
	s = newSuite(t, second.address, nodetest.Line(t), true)

	after := s.readAll(t, esdb.ReadAllOptions{}, everything)
	if s.line == node.OwnLine && len(after) != len(before) {
		t.Errorf("%d events after the restart, %d before: the node has written some by itself", len(after), len(before))
	}
	if diff := cmp.Diff(before, after[:min(len(before), len(after))]); diff != "" {
		t.Errorf("the log changed (-before +after):\n%s", diff)
	}
	if again := s.append(t, kept, esdb.NoStream{}, keptEvents...); again.NextExpectedVersion != 4 {
		t.Errorf("a repeated append was answered with %+v", again)
	}
	if next := s.append(t, kept, esdb.Revision(4), newEvent()); next.CommitPosition <= position(before[len(before)-1]).Commit {
		t.Errorf("position %d is not behind the log before the restart", next.CommitPosition)
	}
	s.wantVisible(t, truncated, 3, 4)
	_, err := s.tryRead(t, deleted, esdb.ReadStreamOptions{}, 1)
	wantCode(t, err, esdb.ErrorCodeResourceNotFound)
	_, err = s.try(t, tombstoned, esdb.Any{}, newEvent())
	wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	c = s.consume(t, kept, 10)
	if e := c.next(); e.Event.Event.EventNumber != 1 {
		t.Errorf("the group goes on with event %d, want 1", e.Event.Event.EventNumber)
	}
	if parked := s.info(t, kept).Stats.ParkedMessagesCount; parked != 1 {
		t.Errorf("%d parked, want 1", parked)
	}
}
