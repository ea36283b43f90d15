package persistent

import (
	"errors"
	"io"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Read connects a consumer to a group: events one way, acknowledgements the other.
func (s *Service) Read(stream pb.PersistentSubscriptions_ReadServer) error {
	return answer(stream.Context(), s.read(stream))
}

func (s *Service) read(stream pb.PersistentSubscriptions_ReadServer) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return invalid("the call ended before it said what to read")
	}
	if err != nil {
		return err
	}
	o := first.GetOptions()
	if o == nil {
		return invalid("the first message of the call must have the options")
	}
	_, all := o.GetStreamOption().(*pb.ReadReq_Options_All)
	id, err := identify(o.GetStreamIdentifier(), all, o.GetGroupName())
	if err != nil {
		return err
	}
	if o.GetBufferSize() <= 0 {
		return invalid("buffer_size is %d; it must be above 0", o.GetBufferSize())
	}
	form, err := uuidFormOf(o.GetUuidOption())
	if err != nil {
		return err
	}
	w, err := s.find(id)
	if err != nil {
		return err
	}
	from, name := caller(stream)
	c, err := w.connect(int(o.GetBufferSize()), from, name)
	if errors.Is(err, ErrTooManyConsumers) {
		return tooMany(id)
	}
	if err != nil {
		return err
	}
	defer w.disconnect(c)
	s.consumers.Add(1)
	defer s.consumers.Add(-1)

	confirmation := &pb.ReadResp_SubscriptionConfirmation{SubscriptionId: id.key()}
	if err := stream.Send(&pb.ReadResp{Content: &pb.ReadResp_SubscriptionConfirmation_{SubscriptionConfirmation: confirmation}}); err != nil {
		return err
	}
	// Ends with the call: receiving fails once the call has returned.
	if err := s.run(func() { receive(stream, w, c) }); err != nil {
		return err
	}
	return send(stream, w, c, form)
}

// receive passes the consumer's verdicts on. A consumer that half-closes goes on receiving what its buffer takes.
func receive(stream pb.PersistentSubscriptions_ReadServer, w *worker, c *connection) {
	for {
		request, err := stream.Recv()
		if err != nil {
			return
		}
		verdict, err := settlementOf(request)
		if err != nil {
			c.drop(err)
			return
		}
		w.settle(c, verdict)
	}
}

func send(stream pb.PersistentSubscriptions_ReadServer, w *worker, c *connection, form uuidForm) error {
	ctx := stream.Context()
	for {
		select {
		case <-c.wake:
		case <-c.dropped:
			return c.reason
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, d := range c.take() {
			select {
			case <-c.dropped:
				return c.reason
			default:
			}
			found, err := w.load(ctx, c, d)
			if err != nil {
				return err
			}
			if found == nil {
				continue
			}
			if err := stream.Send(eventResponse(found, d.retryCount, form)); err != nil {
				return err
			}
		}
	}
}

// settlementOf reads an acknowledgement. Stop is not a verdict on the message, which counts as done, as on the real server.
func settlementOf(r *pb.ReadReq) (settlement, error) {
	switch message := r.GetContent().(type) {
	case *pb.ReadReq_Ack_:
		ids, err := parseIDs(message.Ack.GetIds())
		return settlement{verdict: Ack, ids: ids}, err
	case *pb.ReadReq_Nack_:
		ids, err := parseIDs(message.Nack.GetIds())
		found := settlement{verdict: Skip, reason: message.Nack.GetReason(), ids: ids}
		switch message.Nack.GetAction() {
		case pb.ReadReq_Nack_Unknown, pb.ReadReq_Nack_Retry:
			found.verdict = Retry
		case pb.ReadReq_Nack_Park:
			found.verdict = ParkIt
		}
		return found, err
	}
	return settlement{}, invalid("only acknowledgements may follow the options")
}

func parseIDs(wire []*shared.UUID) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(wire))
	for _, id := range wire {
		switch value := id.GetValue().(type) {
		case *shared.UUID_Structured_:
			ids = append(ids, fromHalves(value.Structured.GetMostSignificantBits(), value.Structured.GetLeastSignificantBits()))
		case *shared.UUID_String_:
			parsed, err := uuid.Parse(value.String_)
			if err != nil {
				return nil, invalid("event id %q is no UUID", value.String_)
			}
			ids = append(ids, parsed)
		default:
			return nil, invalid("an event id is empty")
		}
	}
	return ids, nil
}

// caller returns the address and the name that the consumer's connection has.
func caller(stream pb.PersistentSubscriptions_ReadServer) (from, name string) {
	if p, ok := peer.FromContext(stream.Context()); ok {
		from = p.Addr.String()
	}
	if headers, ok := metadata.FromIncomingContext(stream.Context()); ok {
		if names := headers.Get("connection-name"); len(names) > 0 {
			name = names[0]
		}
	}
	return from, name
}

// uuidForm is how a client wants ids written.
type uuidForm int

const (
	structuredForm uuidForm = iota
	stringForm
)

// uuidFormOf looks at the case alone: one of the clients sets it without an inner message.
func uuidFormOf(option *pb.ReadReq_Options_UUIDOption) (uuidForm, error) {
	switch option.GetContent().(type) {
	case *pb.ReadReq_Options_UUIDOption_Structured:
		return structuredForm, nil
	case *pb.ReadReq_Options_UUIDOption_String_:
		return stringForm, nil
	}
	return 0, invalid("uuid_option is missing")
}

func (f uuidForm) write(id uuid.UUID) *shared.UUID {
	if f == stringForm {
		return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
	}
	most, least := toHalves(id)
	return &shared.UUID{Value: &shared.UUID_Structured_{
		Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least},
	}}
}

func eventResponse(c *content, retryCount int32, form uuidForm) *pb.ReadResp {
	event := &pb.ReadResp_ReadEvent{
		Position: &pb.ReadResp_ReadEvent_CommitPosition{CommitPosition: c.original().Position},
		Count:    &pb.ReadResp_ReadEvent_RetryCount{RetryCount: retryCount},
	}
	if c.event != nil {
		event.Event = recorded(c.event, form)
	}
	if c.link != nil {
		event.Link = recorded(c.link, form)
	}
	return &pb.ReadResp{Content: &pb.ReadResp_Event{Event: event}}
}

func recorded(e *store.Event, form uuidForm) *pb.ReadResp_ReadEvent_RecordedEvent {
	return &pb.ReadResp_ReadEvent_RecordedEvent{
		Id:               form.write(e.ID),
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.Stream)},
		StreamRevision:   e.Revision,
		PreparePosition:  e.Position,
		CommitPosition:   e.Position,
		Metadata: map[string]string{
			"type": e.Type, "content-type": e.ContentType, "created": strconv.FormatInt(e.Created, 10),
		},
		CustomMetadata: e.Metadata,
		Data:           e.Data,
	}
}
