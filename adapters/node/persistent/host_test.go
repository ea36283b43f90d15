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
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pas-ta/liveness/adapters/node/persistent"
	"github.com/pas-ta/liveness/adapters/node/store"
)

// waitTimeout bounds every wait of these tests.
const waitTimeout = time.Minute

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
	service, err := persistent.NewService(ctx, opened, persistent.Options{})
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
		ending, cancel := context.WithTimeout(ctx, waitTimeout)
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
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
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
	deadline := time.Now().Add(waitTimeout)
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
