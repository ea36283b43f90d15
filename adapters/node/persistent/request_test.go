package persistent_test

import (
	"context"
	"testing"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

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
