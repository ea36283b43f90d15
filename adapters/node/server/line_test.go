package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/store"
)

// startLike starts a node that is like the servers of a line, whatever the tests are run in.
func startLike(t *testing.T, line node.Line) (*node.Node, streams.StreamsClient) {
	t.Helper()
	n := start(t, func(c *node.Config) { c.Like = line })
	return n, streams.NewStreamsClient(dial(t, n))
}

func TestUnknownLineIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"23", "24.6", "25", "own"} {
		n, err := node.Start(t.Context(), node.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Like: node.Line(name)})
		if err == nil {
			_ = n.Close()
			t.Fatalf("a node like %q was started", name)
		}
		if !strings.Contains(err.Error(), "choose 23.10 or 24") {
			t.Errorf("%q: %v, want what to choose", name, err)
		}
	}
}

func TestLineAnnouncesItsVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[node.Line]string{node.Line23: "23.10.6", node.Line24: "24.6.0"} {
		n, _ := startLike(t, line)
		supported, err := serverfeatures.NewServerFeaturesClient(dial(t, n)).GetSupportedMethods(patient(t), &shared.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		if got := supported.GetEventStoreServerVersion(); got != want {
			t.Errorf("like %s the version is %s, want %s", line, got, want)
		}
	}
}

// filtered asks for the events of streams with a prefix, with a checkpoint after that many others.
func filtered(request *streams.ReadReq, prefix string, every uint32) *streams.ReadReq {
	request.Options.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{
			StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{prefix}},
		},
		Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: every},
		CheckpointIntervalMultiplier: 1,
	}}
	return request
}

// told receives messages, by name, until one of them is the last that is asked for.
func told(t *testing.T, call streams.Streams_ReadClient, until string) []string {
	t.Helper()
	var names []string
	for {
		message, err := call.Recv()
		if err != nil {
			t.Fatalf("after %v: %v", names, err)
		}
		var name string
		switch content := message.GetContent().(type) {
		case *streams.ReadResp_Confirmation:
			name = "confirmed"
		case *streams.ReadResp_CaughtUp_:
			name = "caught up"
		case *streams.ReadResp_Checkpoint_:
			name = "checkpoint"
			if content.Checkpoint.GetCommitPosition() == store.End {
				name = "checkpoint nowhere"
			}
		case *streams.ReadResp_Event:
			name = fmt.Sprintf("%s/%d", content.Event.GetEvent().GetStreamIdentifier().GetStreamName(), content.Event.GetEvent().GetStreamRevision())
		default:
			name = fmt.Sprintf("%T", content)
		}
		if names = append(names, name); name == until {
			return slices.Compact(names)
		}
	}
}

// On 24 the end of a history without a match and without an interval is a checkpoint that is no place.
func TestCheckpointThatIsNoPlace(t *testing.T) {
	t.Parallel()
	for line, want := range map[node.Line][]string{
		node.Line23: {"confirmed", "caught up", "ours/0", "checkpoint", "ours/1"},
		node.Line24: {"confirmed", "checkpoint nowhere", "caught up", "ours/0", "ours/1"},
	} {
		_, client := startLike(t, line)
		call, err := client.Read(patient(t), filtered(subscribeAll(), "ours", 40))
		if err != nil {
			t.Fatal(err)
		}
		got := told(t, call, "caught up")
		write(t, client, "ours", 1)
		write(t, client, "theirs", make([]int, 100)...)
		write(t, client, "ours", 1)
		got = append(got, told(t, call, "ours/1")...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("like %s (-want +got):\n%s", line, diff)
		}
	}
}

// On 23.10 a read without a form of ids is not answered.
func TestMissingIDFormIsNotAnswered(t *testing.T) {
	t.Parallel()
	_, client := startLike(t, node.Line23)
	request := subscribeAll()
	request.Options.UuidOption = nil
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	call, err := client.Read(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if message, err := call.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("answered %v, %v", message, err)
	}
}

// A reader that does not keep up while it is live is dropped on 23.10; on 24 it catches up by itself and nothing is lost.
func TestSlowLiveReader(t *testing.T) {
	t.Parallel()
	const large, count = 64 << 10, 200 // more than the windows of the transport hold
	for _, line := range node.Lines() {
		n, client := startLike(t, line)
		call, err := client.Read(patient(t), filtered(subscribeAll(), "ours", 1000))
		if err != nil {
			t.Fatal(err)
		}
		told(t, call, "caught up")
		for range count {
			write(t, client, "ours", large)
		}
		if err := n.Store().WaitBeyond(patient(t), count); err != nil {
			t.Fatal(err)
		}
		received, caughtUp := uint64(0), 0
		for received < count && err == nil {
			var message *streams.ReadResp
			if message, err = call.Recv(); err != nil {
				break
			}
			if event := message.GetEvent(); event != nil {
				if event.GetEvent().GetStreamRevision() != received {
					t.Fatalf("like %s event %d came after %d", line, event.GetEvent().GetStreamRevision(), received)
				}
				received++
			}
			if message.GetCaughtUp() != nil {
				caughtUp++
			}
		}
		if line == node.Line23 {
			if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "Consumer too slow to handle event while live") {
				t.Errorf("like %s the reader was ended by %v after %d events", line, err, received)
			}
			continue
		}
		if err != nil {
			t.Errorf("like %s: %v after %d events", line, err, received)
		}
		if names := told(t, call, "caught up"); len(names) == 0 {
			t.Errorf("like %s the reader was not told that it caught up again", line)
		}
	}
}

// On 24 a reader to whom more comes while it catches up than waits for it is told twice that it has caught up.
func TestCaughtUpAgainWithNothingBetween(t *testing.T) {
	t.Parallel()
	const large, count = 64 << 10, 100 // more than the windows of the transport hold
	n, client := startLike(t, node.Line24)
	for range count {
		write(t, client, "ours", large)
	}
	call, err := client.Read(patient(t), filtered(subscribeAll(), "ours", 1000))
	if err != nil {
		t.Fatal(err)
	}
	told(t, call, "confirmed")
	write(t, client, "ours", make([]int, 50)...)
	if err := n.Store().WaitBeyond(patient(t), count+50); err != nil {
		t.Fatal(err)
	}
	names := told(t, call, "caught up")
	if last := names[len(names)-3]; last != "ours/149" {
		t.Errorf("caught up after %s", last)
	}
	if diff := cmp.Diff([]string{"checkpoint", "caught up"}, told(t, call, "caught up")); diff != "" {
		t.Errorf("after it had caught up (-want +got):\n%s", diff)
	}
}

// From behind the end of the log 23.10 delivers what comes, 24 only what comes behind that position.
func TestSubscriptionFromBeyondTheEnd(t *testing.T) {
	t.Parallel()
	for line, want := range map[node.Line][]string{
		node.Line23: {"confirmed", "caught up", "ours/0", "ours/1"}, node.Line24: {"confirmed", "caught up", "ours/1"},
	} {
		n, client := startLike(t, line)
		request := filtered(subscribeAll(), "ours", 1000)
		beyond := n.Store().Head() + 50
		request.GetOptions().StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: beyond, PreparePosition: beyond}},
		}}
		call, err := client.Read(patient(t), request)
		if err != nil {
			t.Fatal(err)
		}
		got := told(t, call, "caught up")
		write(t, client, "ours", 1)
		write(t, client, "theirs", make([]int, 100)...)
		write(t, client, "ours", 1)
		if diff := cmp.Diff(want, append(got, told(t, call, "ours/1")...)); diff != "" {
			t.Errorf("like %s (-want +got):\n%s", line, diff)
		}
	}
}

// The end of history has a checkpoint at the last match on 24, none on 23.10; from the end there is none on either.
func TestCheckpointAtTheEndOfHistory(t *testing.T) {
	t.Parallel()
	for line, want := range map[node.Line][]string{
		node.Line23: {"confirmed", "ours/0", "caught up"}, node.Line24: {"confirmed", "ours/0", "checkpoint", "caught up"},
	} {
		_, client := startLike(t, line)
		write(t, client, "ours", 1)
		write(t, client, "theirs", 1, 1)
		call, err := client.Read(patient(t), filtered(subscribeAll(), "ours", 1000))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, told(t, call, "caught up")); diff != "" {
			t.Errorf("like %s (-want +got):\n%s", line, diff)
		}
		request := filtered(subscribeAll(), "ours", 1000)
		request.GetOptions().StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}},
		}}
		if call, err = client.Read(patient(t), request); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"confirmed", "caught up"}, told(t, call, "caught up")); diff != "" {
			t.Errorf("like %s, from the end (-want +got):\n%s", line, diff)
		}
	}
}
