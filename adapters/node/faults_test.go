package node_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func tryAppend(ctx context.Context, client *esdb.Client, stream string, expected esdb.ExpectedRevision) error {
	_, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected},
		esdb.EventData{EventType: "Opened", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
	return err
}

// last returns the revision that a stream has, -1 when it does not exist.
func last(ctx context.Context, t *testing.T, client streams.StreamsClient, stream string) int64 {
	t.Helper()
	call, err := client.Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}},
		}},
		ReadDirection: streams.ReadReq_Options_Backwards, CountOption: &streams.ReadReq_Options_Count{Count: 1},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	message, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if message.GetStreamNotFound() != nil {
		return -1
	}
	return int64(message.GetEvent().GetEvent().GetStreamRevision())
}

func wire(t *testing.T, addr string) streams.StreamsClient {
	t.Helper()
	connection, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return streams.NewStreamsClient(connection)
}

// A resigned leader names its successor to calls that require a leader, and answers the others from what it last knew.
func TestResignedLeader(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	ctx := limited(t)
	client := connect(t, n.ConnectionString())
	if err := tryAppend(ctx, client, "account-1", esdb.NoStream{}); err != nil {
		t.Fatal(err)
	}
	leader, err := n.Faults().Resign(ctx)
	if err != nil {
		t.Fatal(err)
	}
	successor := connect(t, "esdb://"+leader+"?tls=false")
	for stream, expected := range map[string]esdb.ExpectedRevision{"account-1": esdb.Revision(0), "account-2": esdb.NoStream{}} {
		if err := tryAppend(ctx, successor, stream, expected); err != nil {
			t.Fatal(err)
		}
	}

	resigned := wire(t, n.Addr())
	var trailer metadata.MD
	_, err = resigned.Delete(metadata.AppendToOutgoingContext(ctx, "requires-leader", "true"), &streams.DeleteReq{}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.NotFound || len(trailer.Get("exception")) != 1 || trailer.Get("exception")[0] != "not-leader" {
		t.Errorf("a call that requires a leader: %v, trailers %v", err, trailer)
	}
	if host, port := trailer.Get("leader-endpoint-host"), trailer.Get("leader-endpoint-port"); len(host) != 1 || len(port) != 1 || net.JoinHostPort(host[0], port[0]) != leader {
		t.Errorf("trailers %v, want the leader %s", trailer, leader)
	}
	if one, two := last(ctx, t, resigned, "account-1"), last(ctx, t, resigned, "account-2"); one != 0 || two != -1 {
		t.Errorf("the resigned leader has the streams at %d and %d, want what it knew: 0 and -1", one, two)
	}
	var failure *esdb.Error
	if err := tryAppend(ctx, client, "account-1", esdb.Revision(1)); !errors.As(err, &failure) || failure.Code() != esdb.ErrorCodeWrongExpectedVersion {
		t.Errorf("append at the present revision: %v, want a conflict by what the resigned leader knows", err)
	}
	if err := tryAppend(ctx, client, "account-2", esdb.NoStream{}); err == nil {
		t.Error("the resigned leader has taken an append")
	}

	if _, err := n.Faults().Resign(ctx); err != nil {
		t.Fatal(err)
	}
	if one := last(metadata.AppendToOutgoingContext(ctx, "requires-leader", "true"), t, resigned, "account-1"); one != 1 {
		t.Errorf("leading again it has the stream at %d, want 1", one)
	}
}

func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	for name, lose := range map[string]func(int){"timeout": n.Faults().TimeOutAppends, "cut": n.Faults().CutAppends} {
		client := connect(t, n.ConnectionString())
		lose(1)
		if err := tryAppend(limited(t), client, "account-"+name, esdb.NoStream{}); err == nil {
			t.Errorf("%s: the append was answered", name)
		}
		if at := last(limited(t), t, wire(t, n.Addr()), "account-"+name); at != 0 {
			t.Errorf("%s: the stream is at %d, want the event that was not acknowledged", name, at)
		}
	}
}

func TestHangingNode(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	open := wire(t, n.Addr())
	if at := last(limited(t), t, open, "account-1"); at != -1 {
		t.Fatal(at)
	}
	resume := n.Faults().Hang()
	for name, client := range map[string]streams.StreamsClient{"open": open, "new": wire(t, n.Addr())} {
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := client.Delete(short, &streams.DeleteReq{}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s connection: answered %v", name, err)
		}
		cancel()
	}
	resume()
	if at := last(limited(t), t, open, "account-1"); at != -1 {
		t.Errorf("after it went on the stream is at %d", at)
	}
}

// The answer to who lost comes before the event that won can be read.
func TestHeldCommits(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	client := connect(t, n.ConnectionString())
	release := n.Faults().HoldCommits()
	outcomes := make(chan error, 2)
	for range 2 {
		go func() { outcomes <- tryAppend(limited(t), client, "account-1", esdb.NoStream{}) }()
	}
	var failure *esdb.Error
	if err := <-outcomes; !errors.As(err, &failure) || failure.Code() != esdb.ErrorCodeWrongExpectedVersion {
		t.Errorf("first answer %v, want a conflict", err)
	}
	if at := last(limited(t), t, wire(t, n.Addr()), "account-1"); at != -1 {
		t.Errorf("the stream is at %d while the commit is held", at)
	}
	release()
	if err := <-outcomes; err != nil {
		t.Errorf("the winner: %v", err)
	}
	if at := last(limited(t), t, wire(t, n.Addr()), "account-1"); at != 0 {
		t.Errorf("the stream is at %s, want 0", strconv.FormatInt(at, 10))
	}
}

// While the lead goes back and forth under load, everything that was acknowledged is there once.
func TestResignationUnderLoad(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	ctx := metadata.AppendToOutgoingContext(limited(t), "requires-leader", "true")
	const writers, each, resignations = 4, 25, 4
	var group sync.WaitGroup
	for range writers {
		client := connect(t, n.ConnectionString())
		group.Go(func() {
			for range each {
				event := esdb.EventData{EventID: uuid.New(), EventType: "Opened", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
				for {
					_, err := client.AppendToStream(ctx, "accounts", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event)
					if err == nil {
						break
					}
					if ctx.Err() != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for i := range uint64(resignations) {
		if err := n.Store().WaitBeyond(ctx, (i+1)*writers*each/(resignations+1)); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Faults().Resign(ctx); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	state, err := n.Store().StreamState(ctx, "accounts")
	if err != nil || state.Last != writers*each-1 {
		t.Errorf("the stream is at %d, %v, want %d: each event once", state.Last, err, writers*each-1)
	}
}
