package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// waitTimeout bounds every wait; nothing is expected to come near it.
const waitTimeout = time.Minute

func start(tb testing.TB, change func(*node.Config)) *node.Node {
	tb.Helper()
	config := node.Config{}
	if change != nil {
		change(&config)
	}
	return nodetest.Start(tb, config)
}

func dial(tb testing.TB, n *node.Node, options ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	conn, err := grpc.NewClient(n.Addr(), append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func patient(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), waitTimeout)
	tb.Cleanup(cancel)
	return ctx
}

func named(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func textID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

func proposed(size int) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id: textID(uuid.New()), Metadata: map[string]string{"type": "T", "content-type": "application/json"}, Data: make([]byte, size),
	}}}
}

func appendAny(stream string) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

// write appends events of a size to a stream, in one call.
func write(tb testing.TB, client streams.StreamsClient, stream string, sizes ...int) {
	tb.Helper()
	call, err := client.Append(patient(tb))
	if err != nil {
		tb.Fatal(err)
	}
	if err := call.Send(appendAny(stream)); err != nil {
		tb.Fatal(err)
	}
	for _, size := range sizes {
		if err := call.Send(proposed(size)); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := call.CloseAndRecv(); err != nil {
		tb.Fatal(err)
	}
}

// subscribeAll asks for everything in the log from its start.
func subscribeAll() *streams.ReadReq {
	return &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
		CountOption:  &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}}
}
