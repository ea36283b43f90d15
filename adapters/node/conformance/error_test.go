package conformance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
)

// errorSection looks at the status and the trailers, which clients in other languages decide by.
var errorSection = section{
	"stream tombstoned": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		if _, err := s.client.TombstoneStream(deadline(t), stream, esdb.TombstoneStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"exception": "stream-deleted", "stream-name": stream}
		s.wantAppendError(t, codes.FailedPrecondition, want, appendRequest(stream), proposal(esdb.ContentTypeJson, "x"))
		s.wantDeleteError(t, stream, codes.FailedPrecondition, want)
	},
	"delete at the wrong revision": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 2)
		s.wantDeleteError(t, stream, codes.FailedPrecondition, map[string]string{
			"exception": "wrong-expected-version", "stream-name": stream, "expected-version": "7", "actual-version": "1",
		})
	},
	"append too large": func(t *testing.T, s *suite) {
		s.wantAppendError(t, codes.InvalidArgument,
			map[string]string{"exception": "maximum-append-size-exceeded", "maximum-append-size": "1048576"},
			appendRequest(newStream()), proposal(esdb.ContentTypeJson, strings.Repeat("x", 2<<20)))
	},
	"type missing": func(t *testing.T, s *suite) {
		request := proposal(esdb.ContentTypeJson, "x")
		delete(request.GetProposedMessage().GetMetadata(), "type")
		s.wantAppendError(t, codes.InvalidArgument,
			map[string]string{"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type"},
			appendRequest(newStream()), request)
	},
	"wrong expected revision is a reply": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 3)
		request := appendRequest(stream)
		request.GetOptions().ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: 1}
		answer, err := s.appendRaw(t, nil, request, proposal(esdb.ContentTypeJson, "x"))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := answer.GetWrongExpectedVersion(); wrong.GetCurrentRevision() != 2 || wrong.GetExpectedRevision() != 1 {
			t.Errorf("answered %v", answer)
		}
	},
	"group missing": func(t *testing.T, s *suite) {
		stream := newStream()
		var trailer metadata.MD
		_, err := persistent.NewPersistentSubscriptionsClient(s.wire).Delete(deadline(t), &persistent.DeleteReq{Options: &persistent.DeleteReq_Options{
			GroupName: "none", StreamOption: &persistent.DeleteReq_Options_StreamIdentifier{StreamIdentifier: identifier(stream)},
		}}, grpc.Trailer(&trailer))
		wantStatus(t, err, codes.NotFound, trailer, map[string]string{
			"exception": "persistent-subscription-does-not-exist", "stream-name": stream, "group-name": "none",
		})
	},
	"filter that cannot be compiled": func(t *testing.T, s *suite) {
		sub, err := s.client.SubscribeToAll(deadline(t), esdb.SubscribeToAllOptions{
			Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "("},
		})
		if err == nil {
			_ = sub.Close()
		}
		wantCode(t, err, esdb.ErrorCodeUnknown)
	},
	"uuid form missing": func(t *testing.T, s *suite) {
		ctx := deadline(t)
		if s.line == node.Line23 { // never answered
			short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			ctx = short
		}
		call, err := streams.NewStreamsClient(s.wire).Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
				AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
			}},
			CountOption: &streams.ReadReq_Options_Count{Count: 1}, FilterOption: &streams.ReadReq_Options_NoFilter{},
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := codes.InvalidArgument
		if s.line == node.Line23 {
			want = codes.DeadlineExceeded
		}
		if _, err = call.Recv(); status.Code(err) != want {
			t.Errorf("answered %v, want %v", err, want)
		}
	},
}

var connectionSection = section{
	"supported methods": func(t *testing.T, s *suite) {
		found, err := serverfeatures.NewServerFeaturesClient(s.wire).GetSupportedMethods(deadline(t), &shared.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		features := make(map[string][]string)
		for _, method := range found.GetMethods() {
			features[method.GetServiceName()+"/"+method.GetMethodName()] = method.GetFeatures()
		}
		for _, method := range []string{"read", "append", "delete", "tombstone", "batchappend"} {
			if _, ok := features["event_store.client.streams.streams/"+method]; !ok {
				t.Errorf("%s of streams is not announced", method)
			}
		}
		for _, method := range []string{"create", "update", "delete", "read", "getinfo", "list", "replayparked", "restartsubsystem"} {
			got := strings.Join(features["event_store.client.persistent_subscriptions.persistentsubscriptions/"+method], ",")
			if method != "restartsubsystem" && (!strings.Contains(got, "stream") || !strings.Contains(got, "all")) {
				t.Errorf("%s of persistent subscriptions has features %q", method, got)
			}
		}
	},
	"version": func(t *testing.T, s *suite) {
		version, err := s.client.GetServerVersion()
		if err != nil || version.Major < 23 {
			t.Errorf("version %+v, error %v", version, err)
		}
	},
	"gossip": func(t *testing.T, s *suite) {
		found, err := gossip.NewGossipClient(s.wire).Read(deadline(t), &shared.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		leaders := 0
		for _, member := range found.GetMembers() {
			if member.GetState() == gossip.MemberInfo_Leader && member.GetIsAlive() && member.GetHttpEndPoint().GetPort() != 0 {
				leaders++
			}
		}
		if leaders != 1 {
			t.Errorf("members %v, want one leader", found.GetMembers())
		}
	},
	"restart of the subscriptions": func(t *testing.T, s *suite) {
		// Through the wire: on a real server it drops the consumers of the tests beside this one.
		if s.embedded {
			if err := s.client.RestartPersistentSubscriptionSubsystem(deadline(t), esdb.RestartPersistentSubscriptionSubsystemOptions{}); err != nil {
				t.Error(err)
			}
		}
	},
	"a header of authorization does no harm without TLS": func(t *testing.T, s *suite) {
		if !s.embedded {
			return // a real server may check it
		}
		ctx := metadata.AppendToOutgoingContext(deadline(t), "authorization", "Basic bm9uc2Vuc2U=", "requires-leader", "true", "connection-name", "test")
		if _, err := serverfeatures.NewServerFeaturesClient(s.wire).GetSupportedMethods(ctx, &shared.Empty{}); err != nil {
			t.Error(err)
		}
	},
}

func identifier(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func appendRequest(stream string) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: identifier(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

func proposal(content esdb.ContentType, data string) *streams.AppendReq {
	kind := "application/octet-stream"
	if content == esdb.ContentTypeJson {
		kind = "application/json"
	}
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Metadata: map[string]string{"type": "Raw", "content-type": kind}, Data: []byte(data),
	}}}
}

func (s *suite) appendRaw(t *testing.T, trailer *metadata.MD, requests ...*streams.AppendReq) (*streams.AppendResp, error) {
	t.Helper()
	if trailer == nil {
		trailer = &metadata.MD{}
	}
	call, err := streams.NewStreamsClient(s.wire).Append(deadline(t), grpc.Trailer(trailer))
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range requests {
		if err := call.Send(request); err != nil {
			break // the answer says why
		}
	}
	return call.CloseAndRecv()
}

func (s *suite) wantAppendError(t *testing.T, code codes.Code, want map[string]string, requests ...*streams.AppendReq) {
	t.Helper()
	var trailer metadata.MD
	_, err := s.appendRaw(t, &trailer, requests...)
	wantStatus(t, err, code, trailer, want)
}

func (s *suite) wantDeleteError(t *testing.T, stream string, code codes.Code, want map[string]string) {
	t.Helper()
	var trailer metadata.MD
	_, err := streams.NewStreamsClient(s.wire).Delete(deadline(t), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: identifier(stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 7},
	}}, grpc.Trailer(&trailer))
	wantStatus(t, err, code, trailer, want)
}

func wantStatus(t *testing.T, err error, code codes.Code, trailer metadata.MD, want map[string]string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("error %v, want %v", err, code)
	}
	got := make(map[string]string)
	for key := range want {
		got[key] = strings.Join(trailer.Get(key), "|")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}
