package persistent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/persistent"
	"github.com/pas-ta/liveness/adapters/node/store"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// host is a store with the service on a loopback port.
type host struct {
	tb     testing.TB
	dir    string
	store  *store.Store
	client pb.PersistentSubscriptionsClient
	close  func()
}

func newHost(t *testing.T) *host {
	h := &host{tb: t, dir: t.TempDir()}
	h.start()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *host) start() {
	h.tb.Helper()
	ctx := context.Background()
	opened, err := store.Open(ctx, h.dir, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.tb.Fatal(err)
	}
	service, err := persistent.NewService(ctx, opened, slog.New(slog.DiscardHandler))
	if err != nil {
		h.tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		h.tb.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterPersistentSubscriptionsServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		h.tb.Fatal(err)
	}
	h.store, h.client = opened, pb.NewPersistentSubscriptionsClient(connection)
	h.close = func() {
		ending, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := errors.Join(service.Close(ending), connection.Close()); err != nil {
			h.tb.Error(err)
		}
		server.Stop()
		if err := errors.Join(<-served, opened.Close()); err != nil {
			h.tb.Error(err)
		}
		h.close = func() {}
	}
}

func (h *host) restart() {
	h.tb.Helper()
	h.close()
	h.start()
}

func (h *host) append(stream string, events ...store.NewEvent) {
	h.tb.Helper()
	if _, err := h.store.Append(context.Background(), store.Write{Stream: stream, Expected: store.ExpectAny, Events: events}); err != nil {
		h.tb.Fatal(err)
	}
}

func events(count int, kind string) []store.NewEvent {
	all := make([]store.NewEvent, count)
	for i := range all {
		all[i] = store.NewEvent{ID: uuid.New(), Type: kind, ContentType: store.ContentTypeJSON, Data: []byte("{}")}
	}
	return all
}

func name(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func settings(change func(*pb.CreateReq_Settings)) *pb.CreateReq_Settings {
	s := &pb.CreateReq_Settings{
		MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500, ReadBatchSize: 20,
		HistoryBufferSize: 500, ConsumerStrategy: "RoundRobin",
		MessageTimeout:  &pb.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 30_000},
		CheckpointAfter: &pb.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 2_000},
	}
	if change != nil {
		change(s)
	}
	return s
}

// eager writes a checkpoint for every event.
func eager(s *pb.CreateReq_Settings) { s.MinCheckpointCount, s.MaxCheckpointCount = 1, 1 }

func (h *host) create(stream, group string, change func(*pb.CreateReq_Settings)) {
	h.tb.Helper()
	_, err := h.client.Create(context.Background(), &pb.CreateReq{Options: &pb.CreateReq_Options{
		StreamOption: &pb.CreateReq_Options_Stream{Stream: &pb.CreateReq_StreamOptions{
			StreamIdentifier: name(stream), RevisionOption: &pb.CreateReq_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		GroupName: group, Settings: settings(change),
	}})
	if err != nil {
		h.tb.Fatal(err)
	}
}

func (h *host) createAll(group string, all *pb.CreateReq_AllOptions, change func(*pb.CreateReq_Settings)) {
	h.tb.Helper()
	_, err := h.client.Create(context.Background(), &pb.CreateReq{Options: &pb.CreateReq_Options{
		StreamOption: &pb.CreateReq_Options_All{All: all}, GroupName: group, Settings: settings(change),
	}})
	if err != nil {
		h.tb.Fatal(err)
	}
}

// consumer is one call of Read.
type consumer struct {
	tb     testing.TB
	stream pb.PersistentSubscriptions_ReadClient
	cancel context.CancelFunc
}

func (h *host) connect(stream, group string, bufferSize int32) *consumer {
	h.tb.Helper()
	c := h.open(stream, group, bufferSize)
	if first, err := c.stream.Recv(); err != nil || first.GetSubscriptionConfirmation().GetSubscriptionId() == "" {
		h.tb.Fatalf("confirmation %v, error %v", first, err)
	}
	return c
}

func (h *host) open(stream, group string, bufferSize int32) *consumer {
	h.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	h.tb.Cleanup(cancel)
	call, err := h.client.Read(ctx)
	if err != nil {
		h.tb.Fatal(err)
	}
	options := &pb.ReadReq_Options{
		GroupName: group, BufferSize: bufferSize,
		UuidOption: &pb.ReadReq_Options_UUIDOption{Content: &pb.ReadReq_Options_UUIDOption_String_{}},
	}
	if stream == "$all" {
		options.StreamOption = &pb.ReadReq_Options_All{All: &shared.Empty{}}
	} else {
		options.StreamOption = &pb.ReadReq_Options_StreamIdentifier{StreamIdentifier: name(stream)}
	}
	if err := call.Send(&pb.ReadReq{Content: &pb.ReadReq_Options_{Options: options}}); err != nil {
		h.tb.Fatal(err)
	}
	return &consumer{tb: h.tb, stream: call, cancel: cancel}
}

func (c *consumer) next() *pb.ReadResp_ReadEvent {
	c.tb.Helper()
	response, err := c.stream.Recv()
	if err != nil {
		c.tb.Fatal(err)
	}
	return response.GetEvent()
}

// want receives one event for each text, "<revision>" or "<revision>/<retry count>".
func (c *consumer) want(texts ...string) []*pb.ReadResp_ReadEvent {
	c.tb.Helper()
	var got []string
	var all []*pb.ReadResp_ReadEvent
	for range texts {
		e := c.next()
		text := fmt.Sprint(e.GetEvent().GetStreamRevision())
		if e.GetRetryCount() > 0 {
			text += fmt.Sprintf("/%d", e.GetRetryCount())
		}
		got, all = append(got, text), append(all, e)
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		c.tb.Fatalf("events (-want +got):\n%s", diff)
	}
	return all
}

func (c *consumer) ended() error {
	c.tb.Helper()
	for {
		if _, err := c.stream.Recv(); err != nil {
			return err
		}
	}
}

func originalIDs(all []*pb.ReadResp_ReadEvent) []*shared.UUID {
	var found []*shared.UUID
	for _, e := range all {
		if e.GetLink() != nil {
			found = append(found, e.GetLink().GetId())
		} else {
			found = append(found, e.GetEvent().GetId())
		}
	}
	return found
}

func (c *consumer) ack(all ...*pb.ReadResp_ReadEvent) {
	c.tb.Helper()
	if err := c.stream.Send(&pb.ReadReq{Content: &pb.ReadReq_Ack_{Ack: &pb.ReadReq_Ack{Ids: originalIDs(all)}}}); err != nil {
		c.tb.Fatal(err)
	}
}

func (c *consumer) nack(action pb.ReadReq_Nack_Action, all ...*pb.ReadResp_ReadEvent) {
	c.tb.Helper()
	err := c.stream.Send(&pb.ReadReq{Content: &pb.ReadReq_Nack_{Nack: &pb.ReadReq_Nack{Ids: originalIDs(all), Action: action, Reason: "test"}}})
	if err != nil {
		c.tb.Fatal(err)
	}
}

func (h *host) info(stream, group string) *pb.SubscriptionInfo {
	h.tb.Helper()
	o := &pb.GetInfoReq_Options{GroupName: group, StreamOption: &pb.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: name(stream)}}
	if stream == "$all" {
		o.StreamOption = &pb.GetInfoReq_Options_All{All: &shared.Empty{}}
	}
	found, err := h.client.GetInfo(context.Background(), &pb.GetInfoReq{Options: o})
	if err != nil {
		h.tb.Fatal(err)
	}
	return found.GetSubscriptionInfo()
}

// eventually waits for a condition on the group's description.
func (h *host) eventually(stream, group, what string, holds func(*pb.SubscriptionInfo) bool) {
	h.tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		found := h.info(stream, group)
		if holds(found) {
			return
		}
		if time.Now().After(deadline) {
			h.tb.Fatalf("%s: not so in time: %v", what, found)
		}
	}
}

func (h *host) replay(stream, group string) {
	h.tb.Helper()
	_, err := h.client.ReplayParked(context.Background(), &pb.ReplayParkedReq{Options: &pb.ReplayParkedReq_Options{
		GroupName: group, StreamOption: &pb.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: name(stream)},
		StopAtOption: &pb.ReplayParkedReq_Options_NoLimit{NoLimit: &shared.Empty{}},
	}})
	if err != nil {
		h.tb.Fatal(err)
	}
}

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

func TestRequestsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.create("ünï", "g", func(s *pb.CreateReq_Settings) { s.MaxSubscriberCount = 1 })
	h.connect("ünï", "g", 1)
	all := func(o *pb.CreateReq_AllOptions) *pb.CreateReq_Options {
		return &pb.CreateReq_Options{StreamOption: &pb.CreateReq_Options_All{All: o}, GroupName: "g", Settings: settings(nil)}
	}
	create := func(o *pb.CreateReq_Options) func(*metadata.MD) error {
		return func(trailer *metadata.MD) error {
			_, err := h.client.Create(context.Background(), &pb.CreateReq{Options: o}, grpc.Trailer(trailer))
			return err
		}
	}
	read := func(stream, group string, size int32) func(*metadata.MD) error {
		return func(trailer *metadata.MD) error {
			c := h.open(stream, group, size)
			err := c.ended()
			*trailer = c.stream.Trailer()
			return err
		}
	}
	beyond := &pb.CreateReq_AllOptions{AllOption: &pb.CreateReq_AllOptions_Position{Position: &pb.CreateReq_Position{CommitPosition: 1 << 40, PreparePosition: 1 << 40}}}
	broken := &pb.CreateReq_AllOptions{
		AllOption: &pb.CreateReq_AllOptions_Start{Start: &shared.Empty{}},
		FilterOption: &pb.CreateReq_AllOptions_Filter{Filter: &pb.CreateReq_AllOptions_FilterOptions{
			Filter: &pb.CreateReq_AllOptions_FilterOptions_EventType{EventType: &pb.CreateReq_AllOptions_FilterOptions_Expression{Regex: "("}},
		}},
	}
	for _, test := range []struct {
		name      string
		call      func(*metadata.MD) error
		code      codes.Code
		exception string
		stream    string
	}{
		{"group exists", create(&pb.CreateReq_Options{StreamIdentifier: name("ünï"), GroupName: "g", Settings: settings(nil)}),
			codes.AlreadyExists, "persistent-subscription-exists", "%C3%BCn%C3%AF"},
		{"unknown strategy", create(&pb.CreateReq_Options{StreamIdentifier: name("s"), GroupName: "g",
			Settings: settings(func(s *pb.CreateReq_Settings) { s.ConsumerStrategy = "Chance" })}),
			codes.Internal, "persistent-subscription-failed", "s"},
		{"position beyond the log", create(all(beyond)), codes.Internal, "persistent-subscription-failed", "$all"},
		{"filter that cannot be compiled", create(all(broken)), codes.InvalidArgument, "", ""},
		{"no stream", create(&pb.CreateReq_Options{GroupName: "g"}), codes.InvalidArgument, "", ""},
		{"no group", create(&pb.CreateReq_Options{StreamIdentifier: name("s")}), codes.InvalidArgument, "", ""},
		{"no options", create(nil), codes.InvalidArgument, "", ""},
		{"negative number", create(&pb.CreateReq_Options{StreamIdentifier: name("s"), GroupName: "g",
			Settings: settings(func(s *pb.CreateReq_Settings) { s.MaxRetryCount = -1 })}), codes.InvalidArgument, "", ""},
		{"read a missing group", read("ünï", "other", 1), codes.NotFound, "persistent-subscription-does-not-exist", "%C3%BCn%C3%AF"},
		{"read with too many", read("ünï", "g", 1), codes.FailedPrecondition, "maximum-subscribers-reached", "%C3%BCn%C3%AF"},
		{"read without a buffer", read("ünï", "g", 0), codes.InvalidArgument, "", ""},
		{"list a stream without groups", func(trailer *metadata.MD) error {
			_, err := h.client.List(context.Background(), &pb.ListReq{Options: &pb.ListReq_Options{ListOption: &pb.ListReq_Options_ListForStream{
				ListForStream: &pb.ListReq_StreamOption{StreamOption: &pb.ListReq_StreamOption_All{All: &shared.Empty{}}},
			}}}, grpc.Trailer(trailer))
			return err
		}, codes.NotFound, "persistent-subscription-does-not-exist", "$all"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var trailer metadata.MD
			err := test.call(&trailer)
			if status.Code(err) != test.code {
				t.Errorf("error %v, want %v", err, test.code)
			}
			var got []string
			if test.exception != "" {
				got = append(got, test.exception, test.stream)
			}
			found := append(trailer.Get("exception"), trailer.Get("stream-name")...)
			if diff := cmp.Diff(got, found); diff != "" {
				t.Errorf("trailers (-want +got):\n%s", diff)
			}
		})
	}
}
