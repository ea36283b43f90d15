package persistent_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

func TestDeliveryGoesOnBehindTheCheckpointAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("s", events(5, "e")...)
	h.create("s", "g", eager)
	c := h.connect("s", "g", 10)
	all := c.want("0", "1", "2", "3", "4")
	c.ack(all[0], all[1], all[3])
	h.eventually("s", "g", "checkpoint 1", func(i *pb.SubscriptionInfo) bool { return i.GetLastCheckpointedEventPosition() == "1" })
	h.restart()
	h.append("s", events(1, "e")...)
	c = h.connect("s", "g", 10)
	c.ack(c.want("2", "3", "4", "5")...)
}

func TestASettledEventIsNotLostBetweenEndAndTheFirstCheckpoint(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("s", events(3, "e")...)
	_, err := h.client.Create(context.Background(), &pb.CreateReq{Options: &pb.CreateReq_Options{
		StreamIdentifier: name("s"), GroupName: "g", Settings: settings(func(s *pb.CreateReq_Settings) { s.Revision = 1<<64 - 1 }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.append("s", events(1, "e")...)
	h.restart()
	if from := h.info("s", "g").GetStartFrom(); from != "-1" {
		t.Errorf("start_from %q, want -1", from)
	}
	h.connect("s", "g", 10).want("3")
}

func TestParkedMessagesSurviveARestartAndAReplayThatIsNotFinished(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("s", events(3, "e")...)
	h.create("s", "g", nil)
	c := h.connect("s", "g", 10)
	c.nack(pb.ReadReq_Nack_Park, c.want("0", "1", "2")...)
	parked := func(count int64) func(*pb.SubscriptionInfo) bool {
		return func(i *pb.SubscriptionInfo) bool { return i.GetParkedMessageCount() == count }
	}
	h.eventually("s", "g", "three parked", parked(3))
	h.restart()
	h.eventually("s", "g", "three parked after a restart", parked(3))

	c = h.connect("s", "g", 10)
	h.replay("s", "g")
	again := c.want("0", "1", "2")
	if again[0].GetLink() == nil {
		t.Error("a replayed message has no link")
	}
	h.eventually("s", "g", "none parked while replaying", parked(0))
	c.ack(again[0])
	h.eventually("s", "g", "one settled", func(i *pb.SubscriptionInfo) bool { return i.GetTotalInFlightMessages() == 2 })
	h.restart()
	h.eventually("s", "g", "two parked again", parked(2))
	h.replay("s", "g")
	c = h.connect("s", "g", 10)
	c.ack(c.want("1", "2")...)
	h.eventually("s", "g", "all settled", func(i *pb.SubscriptionInfo) bool { return i.GetTotalInFlightMessages() == 0 })
	h.restart()
	h.eventually("s", "g", "none parked", parked(0))
}

// Whoever reads the link of a parked message can have it replayed at once.
func TestAMessageIsReplayedAsSoonAsItsLinkIsRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create("s", "g", nil)
	c := h.connect("s", "g", 10)
	for round := range int64(100) {
		h.append("s", events(1, "e")...)
		c.nack(pb.ReadReq_Nack_Park, c.want(fmt.Sprint(round))...)
		for deadline := time.Now().Add(waitTimeout); ; {
			state, err := h.store.StreamState(t.Context(), "$persistentsubscription-s::g-parked")
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("not parked: %+v, %v", state, err)
			}
			if state.Last == round {
				break
			}
		}
		h.replay("s", "g")
		c.ack(c.want(fmt.Sprint(round))...)
	}
	h.eventually("s", "g", "none parked", func(i *pb.SubscriptionInfo) bool { return i.GetParkedMessageCount() == 0 })
}

func TestDeletedGroupLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("s", events(2, "e")...)
	h.create("s", "g", eager)
	c := h.connect("s", "g", 10)
	all := c.want("0", "1")
	c.nack(pb.ReadReq_Nack_Park, all[0])
	c.ack(all[1])
	h.eventually("s", "g", "checkpoint", func(i *pb.SubscriptionInfo) bool { return i.GetLastCheckpointedEventPosition() == "1" })
	_, err := h.client.Delete(context.Background(), &pb.DeleteReq{Options: &pb.DeleteReq_Options{
		GroupName: "g", StreamOption: &pb.DeleteReq_Options_StreamIdentifier{StreamIdentifier: name("s")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ended(); status.Code(err) != codes.NotFound {
		t.Errorf("the consumer ended with %v, want not found", err)
	}
	h.restart()
	h.create("s", "g", nil)
	if info := h.info("s", "g"); info.GetParkedMessageCount() != 0 || info.GetLastCheckpointedEventPosition() != "" {
		t.Errorf("the new group has %v", info)
	}
	h.connect("s", "g", 10).want("0", "1")
}

func TestUpdateDropsConsumersAndKeepsTheCheckpoint(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("s", events(3, "e")...)
	h.create("s", "g", nil)
	c := h.connect("s", "g", 10)
	c.ack(c.want("0", "1", "2")[:2]...)
	h.eventually("s", "g", "two settled", func(i *pb.SubscriptionInfo) bool { return i.GetTotalItems() == 2 })
	_, err := h.client.Update(context.Background(), &pb.UpdateReq{Options: &pb.UpdateReq_Options{
		StreamIdentifier: name("s"), GroupName: "g",
		Settings: &pb.UpdateReq_Settings{NamedConsumerStrategy: pb.UpdateReq_Pinned, ReadBatchSize: 7, HistoryBufferSize: 9},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ended(); status.Code(err) != codes.Canceled {
		t.Errorf("the consumer ended with %v, want cancelled", err)
	}
	if got := c.stream.Trailer().Get("exception"); !cmp.Equal(got, []string{"persistent-subscription-dropped"}) {
		t.Errorf("exception %v", got)
	}
	info := h.info("s", "g")
	if info.GetNamedConsumerStrategy() != "Pinned" || info.GetReadBatchSize() != 7 || info.GetBufferSize() != 9 {
		t.Errorf("settings %v", info)
	}
	h.connect("s", "g", 10).want("2")
}

func TestGroupOnTheLogLeavesOutItsOwnState(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.createAll("g", &pb.CreateReq_AllOptions{
		AllOption:    &pb.CreateReq_AllOptions_Start{Start: &shared.Empty{}},
		FilterOption: &pb.CreateReq_AllOptions_NoFilter{},
	}, eager)
	h.append("a", events(1, "e")...)
	c := h.connect("$all", "g", 10)
	var first *pb.ReadResp_ReadEvent
	for first == nil {
		if e := c.next(); string(e.GetEvent().GetStreamIdentifier().GetStreamName()) == "a" {
			first = e
		} else {
			c.ack(e)
		}
	}
	c.nack(pb.ReadReq_Nack_Park, first)
	h.eventually("$all", "g", "parked", func(i *pb.SubscriptionInfo) bool { return i.GetParkedMessageCount() == 1 })
	h.append("b", events(1, "e")...)
	if e := c.next(); string(e.GetEvent().GetStreamIdentifier().GetStreamName()) != "b" {
		t.Errorf("delivered %v, want the event in b", e)
	}
}

func TestFilteredGroupDoesNotScanAgainWhatItPassedOver(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.createAll("g", &pb.CreateReq_AllOptions{
		AllOption: &pb.CreateReq_AllOptions_Start{Start: &shared.Empty{}},
		FilterOption: &pb.CreateReq_AllOptions_Filter{Filter: &pb.CreateReq_AllOptions_FilterOptions{
			Filter: &pb.CreateReq_AllOptions_FilterOptions_StreamIdentifier{
				StreamIdentifier: &pb.CreateReq_AllOptions_FilterOptions_Expression{Prefix: []string{"wanted-"}},
			},
			Window:                       &pb.CreateReq_AllOptions_FilterOptions_Max{Max: 10},
			CheckpointIntervalMultiplier: 1,
		}},
	}, func(s *pb.CreateReq_Settings) {
		s.CheckpointAfter = &pb.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 1}
	})
	h.append("other", events(700, "e")...)
	c := h.connect("$all", "g", 10)
	head := h.store.Head()
	position := fmt.Sprintf("C:%d/P:%d", head, head)
	h.eventually("$all", "g", "checkpoint at the head", func(i *pb.SubscriptionInfo) bool {
		return i.GetLastCheckpointedEventPosition() == position
	})
	h.append("wanted-1", events(1, "e")...)
	if e := c.next(); string(e.GetEvent().GetStreamIdentifier().GetStreamName()) != "wanted-1" || e.GetCommitPosition() <= head {
		t.Errorf("delivered %v", e)
	}
}

func TestMessageTimeoutDeliversAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("s", events(1, "e")...)
	h.create("s", "g", func(s *pb.CreateReq_Settings) {
		s.MessageTimeout = &pb.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 20}
		s.MaxRetryCount = 2
	})
	c := h.connect("s", "g", 1)
	c.want("0", "0/1", "0/2")
	h.eventually("s", "g", "parked", func(i *pb.SubscriptionInfo) bool { return i.GetParkedMessageCount() == 1 })
}

func TestMoreMessagesThanTheGroupBuffersReachALargeConsumer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for range 10 {
		h.append("s", events(100, "e")...)
	}
	h.create("s", "g", func(s *pb.CreateReq_Settings) { s.HistoryBufferSize, s.ReadBatchSize = 50, 20 })
	c := h.connect("s", "g", 1000)
	for revision := range uint64(1000) {
		if e := c.next(); e.GetEvent().GetStreamRevision() != revision {
			t.Fatalf("event %d, want %d", e.GetEvent().GetStreamRevision(), revision)
		}
	}
}

func TestLinksAreResolvedAndAcknowledgedByTheLink(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.append("target", events(1, "e")...)
	h.append("links",
		store.NewEvent{ID: uuid.New(), Type: store.LinkType, Data: []byte("0@target")},
		store.NewEvent{ID: uuid.New(), Type: store.LinkType, Data: []byte("9@nowhere")})
	h.create("links", "g", func(s *pb.CreateReq_Settings) { s.ResolveLinks = true })
	c := h.connect("links", "g", 2)
	first, second := c.next(), c.next()
	if string(first.GetEvent().GetStreamIdentifier().GetStreamName()) != "target" || first.GetLink() == nil {
		t.Errorf("first %v", first)
	}
	if second.GetEvent() != nil || second.GetLink().GetStreamRevision() != 1 {
		t.Errorf("a link to nothing came as %v", second)
	}
	c.ack(first, second)
	h.eventually("links", "g", "both settled", func(i *pb.SubscriptionInfo) bool { return i.GetTotalItems() == 2 })
}

func TestGroupOnACategory(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create("$ce-account", "g", func(s *pb.CreateReq_Settings) { s.ResolveLinks, s.MaxRetryCount = true, 1 })
	c := h.connect("$ce-account", "g", 1)
	h.append("account-1", events(1, "e")...)
	h.append("other-1", events(1, "e")...)
	h.append("account-2", events(1, "e")...)
	for _, stream := range []string{"account-1", "account-2"} {
		e := c.next()
		if got := string(e.GetEvent().GetStreamIdentifier().GetStreamName()); got != stream || e.GetLink() == nil {
			t.Errorf("delivered %v, want the event of %s", e, stream)
		}
		c.nack(pb.ReadReq_Nack_Retry, e)
		again := c.next()
		if got := string(again.GetEvent().GetStreamIdentifier().GetStreamName()); got != stream || again.GetRetryCount() != 1 {
			t.Errorf("delivered again %v, want the event of %s", again, stream)
		}
		c.nack(pb.ReadReq_Nack_Park, again)
	}
	h.eventually("$ce-account", "g", "parked", func(i *pb.SubscriptionInfo) bool { return i.GetParkedMessageCount() == 2 })
	h.replay("$ce-account", "g")
	for _, stream := range []string{"account-1", "account-2"} {
		e := c.next()
		if got := string(e.GetEvent().GetStreamIdentifier().GetStreamName()); got != stream {
			t.Errorf("replayed %v, want the event of %s", e, stream)
		}
		c.ack(e)
	}
}
