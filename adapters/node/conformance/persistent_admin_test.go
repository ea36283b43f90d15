package conformance_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/node"
)

var persistentAdminSection = section{
	"info shows the settings as they were given": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		want := esdb.PersistentSubscriptionSettings{
			StartFrom: esdb.Revision(7), ResolveLinkTos: true, ExtraStatistics: true, MaxRetryCount: 3, CheckpointLowerBound: 4,
			CheckpointUpperBound: 5, MaxSubscriberCount: 6, LiveBufferSize: 100, ReadBatchSize: 8, HistoryBufferSize: 90,
			ConsumerStrategyName: esdb.ConsumerStrategyPinned, MessageTimeout: 1234, CheckpointAfter: 5678,
		}
		s.createGroup(t, stream, esdb.Revision(7), func(settings *esdb.PersistentSubscriptionSettings) { *settings = want })
		info := s.info(t, stream)
		if diff := cmp.Diff(&want, info.Settings); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
		if info.EventSource != stream || info.GroupName != group || info.Status != "Live" || len(info.Connections) != 0 {
			t.Errorf("info %+v", info)
		}
		if info.Stats.LastCheckpointedEventRevision != nil {
			t.Errorf("checkpoint %d of a group that did nothing", *info.Stats.LastCheckpointedEventRevision)
		}
	},
	"text forms of the start": func(t *testing.T, s *suite) {
		wire := persistent.NewPersistentSubscriptionsClient(s.wire)
		at := s.head(t)
		for _, test := range []struct {
			name  string
			start esdb.AllPosition
			want  any
		}{
			{"start", esdb.Start{}, esdb.Start{}}, {"end", esdb.End{}, esdb.End{}}, {"position", at, &at},
		} {
			name := s.createAllGroup(t, esdb.PersistentAllSubscriptionOptions{StartFrom: test.start})
			info, err := s.client.GetPersistentSubscriptionInfoToAll(deadline(t), name, esdb.GetPersistentSubscriptionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, info.Settings.StartFrom); diff != "" {
				t.Errorf("$all, %s (-want +got):\n%s", test.name, diff)
			}
		}
		for text, start := range map[string]esdb.StreamPosition{"0": esdb.Start{}, "-1": esdb.End{}, "5": esdb.Revision(5)} {
			stream := newStream()
			s.createGroup(t, stream, start, nil)
			found, err := wire.GetInfo(deadline(t), &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
				GroupName:    group,
				StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}},
			}})
			if err != nil || found.GetSubscriptionInfo().GetStartFrom() != text {
				t.Errorf("start_from %q, want %q; error %v", found.GetSubscriptionInfo().GetStartFrom(), text, err)
			}
		}
	},
	"the older request form": func(t *testing.T, s *suite) {
		wire := persistent.NewPersistentSubscriptionsClient(s.wire)
		stream, _ := s.filled(t, 4)
		_, err := wire.Create(deadline(t), &persistent.CreateReq{Options: &persistent.CreateReq_Options{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, GroupName: group,
			Settings: &persistent.CreateReq_Settings{
				Revision: 2, MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500,
				ReadBatchSize: 20, HistoryBufferSize: 500, NamedConsumerStrategy: persistent.CreateReq_RoundRobin,
				MessageTimeout:  &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 30 * 10_000_000},
				CheckpointAfter: &persistent.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 2000},
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if info := s.info(t, stream); info.Settings.MessageTimeout != 30_000 {
			t.Errorf("message timeout %d ms, want 30000", info.Settings.MessageTimeout)
		}
		if e := s.consume(t, stream, 1).next(); e.Event.Event.EventNumber != 2 {
			t.Errorf("first event %d, want 2", e.Event.Event.EventNumber)
		}
	},
	"exists once": func(t *testing.T, s *suite) {
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, nil)
		err := s.client.CreatePersistentSubscription(deadline(t), stream, group, esdb.PersistentStreamSubscriptionOptions{})
		wantCode(t, err, esdb.ErrorCodeResourceAlreadyExists)
	},
	"delete ends consumers and makes room for a new group": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 2)
		s.createGroup(t, stream, esdb.Start{}, eagerCheckpoints)
		c := s.consume(t, stream, 1)
		c.nack(esdb.NackActionPark, c.next())
		c.ack(c.next())
		s.eventually(t, stream, "parked", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == 1 })
		if err := s.client.DeletePersistentSubscription(deadline(t), stream, group, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
			t.Fatal(err)
		}
		if e := c.Recv(); e.SubscriptionDropped == nil {
			t.Errorf("after the delete came %+v", e)
		}
		_, err := s.client.GetPersistentSubscriptionInfo(deadline(t), stream, group, esdb.GetPersistentSubscriptionOptions{})
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
		s.createGroup(t, stream, esdb.Start{}, nil)
		if e := s.consume(t, stream, 1).next(); e.Event.Event.EventNumber != 0 || e.RetryCount != 0 {
			t.Errorf("the new group begins with event %d, retry count %d", e.Event.Event.EventNumber, e.RetryCount)
		}
		if parked := s.info(t, stream).Stats.ParkedMessagesCount; parked != 0 {
			t.Errorf("the new group has %d parked messages", parked)
		}
	},
	"update replaces the settings and keeps the checkpoint": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 3)
		s.createGroup(t, stream, esdb.Start{}, eagerCheckpoints)
		c := s.consume(t, stream, 1)
		c.ack(c.next())
		c.ack(c.next())
		s.eventually(t, stream, "checkpoint", func(i *esdb.PersistentSubscriptionInfo) bool {
			return i.Stats.LastCheckpointedEventRevision != nil && *i.Stats.LastCheckpointedEventRevision == 1
		})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		settings := esdb.SubscriptionSettingsDefault()
		settings.MaxRetryCount, settings.ConsumerStrategyName = 77, esdb.ConsumerStrategyDispatchToSingle
		options := esdb.PersistentStreamSubscriptionOptions{Settings: &settings, StartFrom: esdb.Start{}}
		if err := s.client.UpdatePersistentSubscription(deadline(t), stream, group, options); err != nil {
			t.Fatal(err)
		}
		if info := s.info(t, stream); info.Settings.MaxRetryCount != 77 || info.Settings.ConsumerStrategyName != esdb.ConsumerStrategyDispatchToSingle {
			t.Errorf("settings %+v", info.Settings)
		}
		switch at := s.consume(t, stream, 1).next().Event.Event.EventNumber; {
		case s.line == node.OwnLine && at != 2:
			t.Errorf("goes on with event %d, want 2", at)
		case s.line != node.OwnLine && at > 1:
			t.Errorf("goes on with event %d, want the one of the checkpoint or an earlier one", at)
		}
	},
	"a limit of consumers": func(t *testing.T, s *suite) {
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, func(settings *esdb.PersistentSubscriptionSettings) { settings.MaxSubscriberCount = 1 })
		s.consume(t, stream, 1)
		_, err := s.client.SubscribeToPersistentSubscription(deadline(t), stream, group, esdb.SubscribeToPersistentSubscriptionOptions{})
		wantCode(t, err, esdb.ErrorCodeUnknown)
	},
	"lists": func(t *testing.T, s *suite) {
		stream := newStream()
		s.createGroup(t, stream, esdb.Start{}, nil)
		if err := s.client.CreatePersistentSubscription(deadline(t), stream, "second", esdb.PersistentStreamSubscriptionOptions{}); err != nil {
			t.Fatal(err)
		}
		onAll := s.createAllGroup(t, esdb.PersistentAllSubscriptionOptions{})
		ours, err := s.client.ListPersistentSubscriptionsForStream(deadline(t), stream, esdb.ListPersistentSubscriptionsOptions{})
		if err != nil || len(ours) != 2 {
			t.Errorf("groups of the stream: %d, error %v", len(ours), err)
		}
		contains := func(infos []esdb.PersistentSubscriptionInfo, source, name string) bool {
			for _, info := range infos {
				if info.EventSource == source && info.GroupName == name {
					return true
				}
			}
			return false
		}
		all, err := s.client.ListAllPersistentSubscriptions(deadline(t), esdb.ListPersistentSubscriptionsOptions{})
		if err != nil || !contains(all, stream, group) || !contains(all, "$all", onAll) {
			t.Errorf("groups: %+v, error %v", all, err)
		}
		toAll, err := s.client.ListPersistentSubscriptionsToAll(deadline(t), esdb.ListPersistentSubscriptionsOptions{})
		if err != nil || !contains(toAll, "$all", onAll) || contains(toAll, stream, group) {
			t.Errorf("groups of $all: %+v, error %v", toAll, err)
		}
		_, err = s.client.ListPersistentSubscriptionsForStream(deadline(t), newStream(), esdb.ListPersistentSubscriptionsOptions{})
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
	},
	"a group that is not there": func(t *testing.T, s *suite) {
		stream := newStream()
		_, err := s.client.SubscribeToPersistentSubscription(deadline(t), stream, group, esdb.SubscribeToPersistentSubscriptionOptions{})
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
		_, err = s.client.GetPersistentSubscriptionInfo(deadline(t), stream, group, esdb.GetPersistentSubscriptionOptions{})
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
		wantCode(t, s.client.UpdatePersistentSubscription(deadline(t), stream, group, esdb.PersistentStreamSubscriptionOptions{}), esdb.ErrorCodeResourceNotFound)
		wantCode(t, s.client.DeletePersistentSubscription(deadline(t), stream, group, esdb.DeletePersistentSubscriptionOptions{}), esdb.ErrorCodeResourceNotFound)
		wantCode(t, s.client.ReplayParkedMessages(deadline(t), stream, group, esdb.ReplayParkedMessagesOptions{}), esdb.ErrorCodeResourceNotFound)
		wantCode(t, s.client.DeletePersistentSubscriptionToAll(deadline(t), stream, esdb.DeletePersistentSubscriptionOptions{}), esdb.ErrorCodeResourceNotFound)
	},
}
