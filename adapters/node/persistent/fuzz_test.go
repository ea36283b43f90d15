package persistent_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// clear are the status codes that tell a client something; the others would be a failure of the service.
var clear = map[codes.Code]bool{
	codes.OK: true, codes.InvalidArgument: true, codes.NotFound: true, codes.AlreadyExists: true, codes.FailedPrecondition: true,
	codes.Internal: true, codes.Canceled: true, codes.DeadlineExceeded: true,
}

// FuzzRequests sends whatever decodes as a request, of every kind, and wants a clear answer.
func FuzzRequests(f *testing.F) {
	structured := &pb.ReadReq_Options_UUIDOption{Content: &pb.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
	for kind, seed := range []proto.Message{
		&pb.CreateReq{Options: &pb.CreateReq_Options{StreamIdentifier: name("s"), GroupName: "g", Settings: settings(nil)}},
		&pb.UpdateReq{Options: &pb.UpdateReq_Options{StreamIdentifier: name("s"), GroupName: "g", Settings: &pb.UpdateReq_Settings{}}},
		&pb.DeleteReq{Options: &pb.DeleteReq_Options{GroupName: "g", StreamOption: &pb.DeleteReq_Options_All{All: &shared.Empty{}}}},
		&pb.GetInfoReq{Options: &pb.GetInfoReq_Options{GroupName: "g", StreamOption: &pb.GetInfoReq_Options_All{All: &shared.Empty{}}}},
		&pb.ListReq{Options: &pb.ListReq_Options{ListOption: &pb.ListReq_Options_ListAllSubscriptions{ListAllSubscriptions: &shared.Empty{}}}},
		&pb.ReplayParkedReq{Options: &pb.ReplayParkedReq_Options{GroupName: "g", StopAtOption: &pb.ReplayParkedReq_Options_StopAt{StopAt: 3}}},
		&pb.ReadReq{Content: &pb.ReadReq_Options_{Options: &pb.ReadReq_Options{GroupName: "g", BufferSize: 1, UuidOption: structured,
			StreamOption: &pb.ReadReq_Options_StreamIdentifier{StreamIdentifier: name("s")}}}},
		&pb.ReadReq{Content: &pb.ReadReq_Nack_{Nack: &pb.ReadReq_Nack{Ids: []*shared.UUID{{Value: &shared.UUID_String_{String_: "x"}}}}}},
	} {
		wire, err := proto.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(kind), wire)
	}
	h := &host{tb: f, dir: f.TempDir()}
	h.start()
	f.Cleanup(func() { h.close() })
	h.append("s", events(3, "e")...)
	f.Fuzz(func(t *testing.T, kind byte, wire []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		defer cancel()
		var err error
		switch kind % 8 {
		case 0:
			err = call(ctx, wire, &pb.CreateReq{}, h.client.Create)
		case 1:
			err = call(ctx, wire, &pb.UpdateReq{}, h.client.Update)
		case 2:
			err = call(ctx, wire, &pb.DeleteReq{}, h.client.Delete)
		case 3:
			err = call(ctx, wire, &pb.GetInfoReq{}, h.client.GetInfo)
		case 4:
			err = call(ctx, wire, &pb.ListReq{}, h.client.List)
		case 5:
			err = call(ctx, wire, &pb.ReplayParkedReq{}, h.client.ReplayParked)
		default:
			err = h.fuzzRead(ctx, t, wire, kind%8 == 7)
		}
		if !clear[status.Code(err)] {
			t.Errorf("answered %v", err)
		}
	})
}

func call[Request proto.Message, Option, Answer any](ctx context.Context, wire []byte, request Request, method func(context.Context, Request, ...Option) (Answer, error)) error {
	if proto.Unmarshal(wire, request) != nil {
		return nil
	}
	_, err := method(ctx, request)
	return err
}

// fuzzRead sends the request as the first message, or as the second one of a good call.
func (h *host) fuzzRead(ctx context.Context, t *testing.T, wire []byte, second bool) error {
	request := &pb.ReadReq{}
	if proto.Unmarshal(wire, request) != nil {
		return nil
	}
	reading, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	call, err := h.client.Read(reading)
	if err != nil {
		return err
	}
	if second {
		options := &pb.ReadReq_Options{GroupName: "g", BufferSize: 10,
			UuidOption:   &pb.ReadReq_Options_UUIDOption{Content: &pb.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
			StreamOption: &pb.ReadReq_Options_StreamIdentifier{StreamIdentifier: name("s")}}
		_ = call.Send(&pb.ReadReq{Content: &pb.ReadReq_Options_{Options: options}})
	}
	if err := call.Send(request); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("send: %v", err)
	}
	for {
		if _, err := call.Recv(); err != nil {
			return err
		}
	}
}
