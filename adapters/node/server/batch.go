package server

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pas-ta/liveness/adapters/node/store"
)

const (
	// batchInFlight bounds the writes of one call that are not answered yet; receiving waits then.
	batchInFlight = 512
	// batchOpen and batchOpenBytes bound what one call may hold of writes whose last chunk has not come.
	batchOpen      = 256
	batchOpenBytes = 32 << 20
	// batchMethod is the call's name.
	batchMethod = "/" + streamsService + "/BatchAppend"
)

// batch is one BatchAppend call. One goroutine receives, the caller's sends.
type batch struct {
	*Streams

	call    pb.Streams_BatchAppendServer
	open    map[uuid.UUID]*batchWrite
	bytes   int
	slots   chan struct{} // taken from the last chunk of a write until its reply is sent
	replies chan *pb.BatchAppendResp
}

// batchWrite is one write, collected chunk by chunk.
type batchWrite struct {
	correlation *shared.UUID
	stream      *shared.StreamIdentifier
	expected    store.Expected
	deadline    time.Time // zero = none
	held        int       // bytes counted towards batchOpenBytes
	proposals
}

// BatchAppend takes writes and answers each of them, in whatever order they are done, until the client has sent its last.
func (s *Streams) BatchAppend(call pb.Streams_BatchAppendServer) error {
	ctx := call.Context()
	b := &batch{
		Streams: s, call: call, open: make(map[uuid.UUID]*batchWrite),
		slots: make(chan struct{}, batchInFlight), replies: make(chan *pb.BatchAppendResp, batchInFlight),
	}
	received := make(chan error, 1)
	// The goroutine ends with the call: its Recv and its waiting both fail when this method has returned.
	go func() { received <- b.receive(ctx) }()
	for {
		select {
		case reply := <-b.replies:
			if err := b.send(reply); err != nil {
				return answer(ctx, err)
			}
		case err := <-received:
			if err != nil {
				return answer(ctx, err)
			}
			if err := b.finish(ctx); err != nil {
				return answer(ctx, err)
			}
			return answer(ctx, s.line.endBatch(ctx))
		case <-ctx.Done():
			return answer(ctx, ctx.Err())
		}
	}
}

func (b *batch) send(reply *pb.BatchAppendResp) error {
	err := b.call.Send(reply)
	<-b.slots
	return err
}

// finish sends the replies that are still to come after the client's last write.
func (b *batch) finish(ctx context.Context) error {
	for len(b.slots) > 0 {
		select {
		case reply := <-b.replies:
			if err := b.send(reply); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (b *batch) receive(ctx context.Context) error {
	for {
		request, err := b.call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		write, err := b.collect(request)
		if err != nil {
			return err
		}
		if !request.GetIsFinal() {
			continue
		}
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.faults.admit(ctx, batchMethod); err != nil {
			return err
		}
		b.write(ctx, write)
	}
}

// collect adds a chunk to its write. Errors end the call.
func (b *batch) collect(request *pb.BatchAppendReq) (*batchWrite, error) {
	id, err := parseUUID(request.GetCorrelationId())
	if err != nil {
		return nil, err
	}
	write, known := b.open[id]
	if !known {
		write = newBatchWrite(request, proposals{limit: b.store.MaxAppendBytes(), line: b.line})
		b.open[id] = write
	}
	before := len(write.events)
	for _, message := range request.GetProposedMessages() {
		size := proposalSize(message) + 64
		write.add(message)
		if len(write.events) > before {
			before = len(write.events)
			b.bytes += size
			write.held += size
		}
	}
	if request.GetIsFinal() || write.err != nil {
		b.bytes -= write.held
		write.held = 0
	}
	if request.GetIsFinal() {
		delete(b.open, id)
	}
	if len(b.open) > batchOpen || b.bytes > batchOpenBytes {
		return nil, invalid("more than %d writes or %d bytes are waiting for their last chunk", batchOpen, batchOpenBytes)
	}
	return write, nil
}

func newBatchWrite(request *pb.BatchAppendReq, collected proposals) *batchWrite {
	options := request.GetOptions()
	write := &batchWrite{
		correlation: request.GetCorrelationId(), stream: options.GetStreamIdentifier(), proposals: collected,
	}
	if write.stream == nil {
		write.stream = &shared.StreamIdentifier{}
	}
	switch expected := options.GetExpectedStreamPosition().(type) {
	case *pb.BatchAppendReq_Options_Any:
		write.expected = store.ExpectAny
	case *pb.BatchAppendReq_Options_NoStream:
		write.expected = store.ExpectNoStream
	case *pb.BatchAppendReq_Options_StreamExists:
		write.expected = store.ExpectStreamExists
	case *pb.BatchAppendReq_Options_StreamPosition:
		write.expected, write.err = exactRevision(expected.StreamPosition)
	default:
		write.err = invalid("the first chunk of a write has its options with an expected position")
	}
	switch deadline := options.GetDeadlineOption().(type) {
	case *pb.BatchAppendReq_Options_Deadline_21_10_0:
		write.deadline = deadline.Deadline_21_10_0.AsTime()
	case *pb.BatchAppendReq_Options_Deadline:
		write.deadline = time.Now().Add(deadline.Deadline.AsDuration())
	}
	return write
}

// write queues a complete write. The queue keeps the order of the last chunks.
func (b *batch) write(ctx context.Context, w *batchWrite) {
	if w.err != nil {
		b.replies <- w.reply(store.Result{}, w.err)
		return
	}
	release := context.CancelFunc(func() {})
	if !w.deadline.IsZero() {
		timed, cancel := context.WithDeadline(ctx, w.deadline)
		ctx, release = timed, cancel
	}
	err := ctx.Err()
	write := store.Write{Stream: string(w.stream.GetStreamName()), Expected: w.expected, Events: w.events}
	if err == nil {
		err = b.faults.staleAppend(ctx, b.store, &write)
	}
	if err == nil {
		err = b.store.AppendAsync(ctx, write, func(result store.Result, err error) {
			release()
			if err == nil {
				err = b.faults.loseAnswer(ctx)
			}
			b.replies <- w.reply(result, err)
		})
	}
	if err != nil {
		release()
		b.replies <- w.reply(store.Result{}, err)
	}
}

func (w *batchWrite) reply(result store.Result, err error) *pb.BatchAppendResp {
	reply := &pb.BatchAppendResp{CorrelationId: w.correlation, StreamIdentifier: w.stream}
	if err != nil {
		reply.Result = &pb.BatchAppendResp_Error{Error: w.status(err)}
		return reply
	}
	success := &pb.BatchAppendResp_Success{
		CurrentRevisionOption: &pb.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
		PositionOption:        &pb.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
	}
	if result.Revision >= 0 {
		success.CurrentRevisionOption = &pb.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.Revision)}
	}
	if result.Position > 0 {
		success.PositionOption = &pb.BatchAppendResp_Success_Position{
			Position: &shared.AllStreamPosition{CommitPosition: result.Position, PreparePosition: result.Position},
		}
	}
	reply.Result = &pb.BatchAppendResp_Success_{Success: success}
	return reply
}

// status describes the error of one write; clients decide by the type of its detail alone.
func (w *batchWrite) status(err error) *rpc.Status {
	var (
		detail  proto.Message = &shared.Unknown{}
		code                  = codes.Unknown
		deleted *store.StreamDeletedError
		wrong   *store.WrongExpectedError
		large   *store.TooLargeError
	)
	switch {
	case errors.As(err, &wrong):
		detail, code = wrongExpectedDetail(wrong), codes.FailedPrecondition
	case errors.As(err, &deleted):
		detail, code = &shared.StreamDeleted{StreamIdentifier: w.stream}, codes.FailedPrecondition
	case errors.As(err, &large):
		detail, code = &shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(large.Limit)}, codes.InvalidArgument
	case errors.Is(err, store.ErrInvalid), errors.Is(err, errMissingProperty):
		detail, code = &shared.BadRequest{Message: err.Error()}, codes.InvalidArgument
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errAppendTimeout):
		detail, code = &shared.Timeout{}, codes.DeadlineExceeded
	case errors.Is(err, store.ErrFull):
		code = codes.ResourceExhausted
	case errors.Is(err, store.ErrClosed):
		code = codes.Unavailable
	}
	status := &rpc.Status{Code: int32(code), Message: err.Error()}
	if packed, err := anypb.New(detail); err == nil {
		status.Details = []*anypb.Any{packed}
	}
	return status
}

func wrongExpectedDetail(wrong *store.WrongExpectedError) *shared.WrongExpectedVersion {
	detail := &shared.WrongExpectedVersion{}
	if wrong.Current < 0 {
		detail.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}}
	} else {
		detail.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(wrong.Current)}
	}
	switch wrong.Expected {
	case store.ExpectAny:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case store.ExpectStreamExists:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case store.ExpectNoStream:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	default:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(wrong.Expected)}
	}
	return detail
}
