package server

import (
	"errors"
	"io"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/pas-ta/liveness/adapters/node/store"
)

const (
	// maxAppendEvents bounds the events of one append, which are one transaction.
	maxAppendEvents = 1 << 16
	// maxDiscarded bounds what is still received of an append that is refused already. Up to there it is read to its end,
	// because a client that is answered while it sends sees a broken stream instead of the answer.
	maxDiscarded = 64 << 20
)

// proposals collects the events of one append within its bounds.
type proposals struct {
	limit  int
	line   *Line
	events []store.NewEvent
	size   int
	// counted is the part of the size that the limit is about.
	counted int
	err     error // why the append is refused; no events are kept then
}

func (c *proposals) add(p proposal) {
	c.size += proposalSize(p)
	c.counted += c.line.countedSize(p)
	if c.err != nil {
		return
	}
	event, err := newEvent(p)
	switch {
	case err != nil:
	case c.counted > c.limit:
		err = &store.TooLargeError{Size: c.counted, Limit: c.limit}
	case len(c.events) >= maxAppendEvents:
		err = invalid("an append holds at most %d events", maxAppendEvents)
	}
	if err != nil {
		c.err, c.events = err, nil
		return
	}
	c.events = append(c.events, event)
}

// Append writes the events of one call to one stream when the client has sent them all.
func (s *Streams) Append(call pb.Streams_AppendServer) error {
	ctx := call.Context()
	response, err := s.append(call)
	if err != nil {
		return answer(ctx, err)
	}
	return call.SendAndClose(response)
}

func (s *Streams) append(call pb.Streams_AppendServer) (*pb.AppendResp, error) {
	first, err := call.Recv()
	if errors.Is(err, io.EOF) {
		return nil, invalid("an append begins with its options")
	}
	if err != nil {
		return nil, err
	}
	options := first.GetOptions()
	if options == nil {
		return nil, invalid("an append begins with its options")
	}
	write := store.Write{Stream: string(options.GetStreamIdentifier().GetStreamName())}
	collected := proposals{limit: s.store.MaxAppendBytes(), line: s.line}
	write.Expected, collected.err = expectedOfAppend(options)
	for {
		request, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		message := request.GetProposedMessage()
		if message == nil {
			return nil, invalid("the options of an append are followed by its events")
		}
		if collected.add(message); collected.size > maxDiscarded {
			break
		}
	}
	if collected.err != nil {
		return nil, collected.err
	}
	write.Events = collected.events
	err = s.faults.staleAppend(call.Context(), s.store, &write)
	var result store.Result
	if err == nil {
		if result, err = s.store.Append(call.Context(), write); err == nil {
			err = s.faults.loseAnswer(call.Context())
		}
	}
	if wrong, ok := errors.AsType[*store.WrongExpectedError](err); ok {
		return wrongExpectedReply(wrong), nil
	}
	if err != nil {
		return nil, err
	}
	return successReply(result), nil
}

func successReply(result store.Result) *pb.AppendResp {
	success := &pb.AppendResp_Success{
		CurrentRevisionOption: &pb.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &pb.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if result.Revision >= 0 {
		success.CurrentRevisionOption = &pb.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.Revision)}
	}
	if result.Position > 0 {
		success.PositionOption = &pb.AppendResp_Success_Position{
			Position: &pb.AppendResp_Position{CommitPosition: result.Position, PreparePosition: result.Position},
		}
	}
	return &pb.AppendResp{Result: &pb.AppendResp_Success_{Success: success}}
}

// wrongExpectedReply fills the fields of present clients and those of clients before 20.6.1.
func wrongExpectedReply(wrong *store.WrongExpectedError) *pb.AppendResp {
	reply := &pb.AppendResp_WrongExpectedVersion{}
	if wrong.Current < 0 {
		reply.CurrentRevisionOption = &pb.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		reply.CurrentRevisionOption_20_6_0 = &pb.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	} else {
		reply.CurrentRevisionOption = &pb.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(wrong.Current)}
		reply.CurrentRevisionOption_20_6_0 = &pb.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(wrong.Current)}
	}
	switch wrong.Expected {
	case store.ExpectAny:
		reply.ExpectedRevisionOption = &pb.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		reply.ExpectedRevisionOption_20_6_0 = &pb.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case store.ExpectStreamExists:
		reply.ExpectedRevisionOption = &pb.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		reply.ExpectedRevisionOption_20_6_0 = &pb.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case store.ExpectNoStream:
		reply.ExpectedRevisionOption = &pb.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	default:
		reply.ExpectedRevisionOption = &pb.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(wrong.Expected)}
		reply.ExpectedRevisionOption_20_6_0 = &pb.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(wrong.Expected)}
	}
	return &pb.AppendResp{Result: &pb.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: reply}}
}

func exactRevision(revision uint64) (store.Expected, error) {
	if revision > math.MaxInt64 {
		return 0, invalid("revision %d is beyond the greatest possible one", revision)
	}
	return store.Expected(revision), nil
}

var errNoExpectation = invalid("the expected revision is missing")

func expectedOfAppend(options *pb.AppendReq_Options) (store.Expected, error) {
	switch expected := options.GetExpectedStreamRevision().(type) {
	case *pb.AppendReq_Options_Any:
		return store.ExpectAny, nil
	case *pb.AppendReq_Options_NoStream:
		return store.ExpectNoStream, nil
	case *pb.AppendReq_Options_StreamExists:
		return store.ExpectStreamExists, nil
	case *pb.AppendReq_Options_Revision:
		return exactRevision(expected.Revision)
	}
	return 0, errNoExpectation
}
