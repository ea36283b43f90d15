package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// rawCodec sends bytes as they are, decodable or not.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) {
	if raw, ok := v.([]byte); ok {
		return raw, nil
	}
	return nil, fmt.Errorf("no bytes: %T", v)
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	raw, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("no bytes: %T", v)
	}
	*raw = append([]byte(nil), data...)
	return nil
}

func (rawCodec) Name() string { return "proto" }

// methods are all the node serves.
func methods() []string {
	out := []string{"/event_store.client.server_features.ServerFeatures/GetSupportedMethods", "/event_store.client.gossip.Gossip/Read"}
	for _, service := range []grpc.ServiceDesc{streams.Streams_ServiceDesc, persistent.PersistentSubscriptions_ServiceDesc} {
		for _, m := range service.Methods {
			out = append(out, "/"+service.ServiceName+"/"+m.MethodName)
		}
		for _, m := range service.Streams {
			out = append(out, "/"+service.ServiceName+"/"+m.StreamName)
		}
	}
	return out
}

// FuzzCalls sends any two messages to any method. Every call ends with a status that tells the caller what is wrong, and the
// node goes on serving.
func FuzzCalls(f *testing.F) {
	n := start(f, nil)
	conn := dial(f, n, grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	names := methods()
	clear := map[codes.Code]bool{
		codes.OK: true, codes.InvalidArgument: true, codes.NotFound: true, codes.AlreadyExists: true, codes.FailedPrecondition: true,
		codes.DeadlineExceeded: true, codes.Unimplemented: true, codes.Canceled: true, codes.ResourceExhausted: true,
		codes.Internal: true, // what is not decodable, and what the protocol says a failed group is
	}
	seed := func(method int, messages ...proto.Message) {
		encoded := [2][]byte{}
		for i, message := range messages {
			raw, err := proto.Marshal(message)
			if err != nil {
				f.Fatal(err)
			}
			encoded[i] = raw
		}
		f.Add(uint8(method), encoded[0], encoded[1])
	}
	for i := range names {
		f.Add(uint8(i), []byte{}, []byte{0xff})
		seed(i, appendAny("s-1"), proposed(10))
		seed(i, subscribeAll())
		seed(i, &streams.BatchAppendReq{CorrelationId: textID(uuid.New()), IsFinal: true, Options: &streams.BatchAppendReq_Options{
			StreamIdentifier: named("s-1"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: 1 << 63},
		}}, &streams.BatchAppendReq{CorrelationId: textID(uuid.New())})
		seed(i, &persistent.CreateReq{Options: &persistent.CreateReq_Options{StreamOption: &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{}}, GroupName: "g", Settings: &persistent.CreateReq_Settings{}}})
	}
	f.Fuzz(func(t *testing.T, method uint8, first, second []byte) {
		name := names[int(method)%len(names)]
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		call, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, name)
		for _, message := range [][]byte{first, second} {
			if err == nil {
				err = call.SendMsg(message)
			}
		}
		if err == nil {
			err = call.CloseSend()
		}
		for err == nil || errors.Is(err, io.EOF) {
			var reply []byte
			if err = call.RecvMsg(&reply); errors.Is(err, io.EOF) {
				err = nil
				break
			}
		}
		if code := status.Code(err); !clear[code] {
			t.Errorf("%s ended with %v", name, err)
		}
		if err := n.Store().WaitBeyond(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	})
}
