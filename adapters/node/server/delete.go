package server

import (
	"context"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Delete soft-deletes a stream.
func (s *Streams) Delete(ctx context.Context, request *pb.DeleteReq) (*pb.DeleteResp, error) {
	expected, err := expectedOfDelete(request.GetOptions())
	if err != nil {
		return nil, answer(ctx, err)
	}
	position, err := s.store.Delete(ctx, string(request.GetOptions().GetStreamIdentifier().GetStreamName()), expected)
	if err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.DeleteResp{PositionOption: &pb.DeleteResp_Position_{
		Position: &pb.DeleteResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

// Tombstone ends a stream for ever.
func (s *Streams) Tombstone(ctx context.Context, request *pb.TombstoneReq) (*pb.TombstoneResp, error) {
	expected, err := expectedOfTombstone(request.GetOptions())
	if err != nil {
		return nil, answer(ctx, err)
	}
	position, err := s.store.Tombstone(ctx, string(request.GetOptions().GetStreamIdentifier().GetStreamName()), expected)
	if err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.TombstoneResp{PositionOption: &pb.TombstoneResp_Position_{
		Position: &pb.TombstoneResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

func expectedOfDelete(options *pb.DeleteReq_Options) (store.Expected, error) {
	switch expected := options.GetExpectedStreamRevision().(type) {
	case *pb.DeleteReq_Options_Any:
		return store.ExpectAny, nil
	case *pb.DeleteReq_Options_NoStream:
		return store.ExpectNoStream, nil
	case *pb.DeleteReq_Options_StreamExists:
		return store.ExpectStreamExists, nil
	case *pb.DeleteReq_Options_Revision:
		return exactRevision(expected.Revision)
	}
	return 0, errNoExpectation
}

func expectedOfTombstone(options *pb.TombstoneReq_Options) (store.Expected, error) {
	switch expected := options.GetExpectedStreamRevision().(type) {
	case *pb.TombstoneReq_Options_Any:
		return store.ExpectAny, nil
	case *pb.TombstoneReq_Options_NoStream:
		return store.ExpectNoStream, nil
	case *pb.TombstoneReq_Options_StreamExists:
		return store.ExpectStreamExists, nil
	case *pb.TombstoneReq_Options_Revision:
		return exactRevision(expected.Revision)
	}
	return 0, errNoExpectation
}
