package conformance_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const crashGroup = "crash"

// crashConsumer consumes a group on the log through all crashes. An event may come twice, but none may be left out.
type crashConsumer struct {
	seen map[string]bool // "stream/revision"
}

// consume acknowledges what comes until the context ends, the node is gone, or enough says so.
func (c *crashConsumer) consume(ctx context.Context, t *testing.T, connection *grpc.ClientConn, enough func() bool) {
	client := persistent.NewPersistentSubscriptionsClient(connection)
	if err := createCrashGroup(ctx, client); err != nil {
		return
	}
	call, err := client.Read(ctx)
	if err != nil {
		return
	}
	// What Send says only matters if nothing comes back.
	_ = call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_All{All: &shared.Empty{}}, GroupName: crashGroup, BufferSize: 100,
		UuidOption: &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}}})
	for !enough() {
		answer, err := call.Recv()
		if err != nil {
			if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
				t.Errorf("the consumer was ended with %v", err)
			}
			return
		}
		event := answer.GetEvent().GetEvent()
		if event == nil {
			continue
		}
		c.seen[fmt.Sprintf("%s/%d", event.GetStreamIdentifier().GetStreamName(), event.GetStreamRevision())] = true
		_ = call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: []*shared.UUID{event.GetId()}}}})
	}
}

func createCrashGroup(ctx context.Context, client persistent.PersistentSubscriptionsClient) error {
	_, err := client.Create(ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName: crashGroup,
		StreamOption: &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{
			AllOption: &persistent.CreateReq_AllOptions_Start{Start: &shared.Empty{}},
			FilterOption: &persistent.CreateReq_AllOptions_Filter{Filter: &persistent.CreateReq_AllOptions_FilterOptions{
				Filter: &persistent.CreateReq_AllOptions_FilterOptions_StreamIdentifier{
					StreamIdentifier: &persistent.CreateReq_AllOptions_FilterOptions_Expression{Prefix: []string{"crash-"}},
				},
				Window: &persistent.CreateReq_AllOptions_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
			}},
		}},
		Settings: &persistent.CreateReq_Settings{
			MaxRetryCount: 10, MinCheckpointCount: 5, MaxCheckpointCount: 50, ReadBatchSize: 20, HistoryBufferSize: 500, LiveBufferSize: 500,
			ConsumerStrategy: "RoundRobin",
			MessageTimeout:   &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 30_000},
			CheckpointAfter:  &persistent.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 10},
		},
	}})
	if status.Code(err) == codes.AlreadyExists {
		return nil
	}
	return err
}

// finish consumes the rest, and compares.
func (c *crashConsumer) finish(t *testing.T, address string, log *crashLog) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	missing := func() (count int) {
		for i, writer := range log.writers {
			for revision := range log.seen[i] {
				if !c.seen[fmt.Sprintf("%s/%d", writer.stream, revision)] {
					count++
				}
			}
		}
		return count
	}
	left := missing()
	before := len(c.seen)
	c.consume(ctx, t, dial(t, address), func() bool { return len(c.seen)-before >= left })
	if left := missing(); left > 0 {
		t.Errorf("%d events never came to the group", left)
	}
}
