package server

import (
	"encoding/binary"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Keys of the metadata that the protocol itself gives every event.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"
)

// recordedEvent is one event with all the parts of its message in one piece of memory: reading the log is little else than
// making these.
type recordedEvent struct {
	event      pb.ReadResp_ReadEvent_RecordedEvent
	id         shared.UUID
	text       shared.UUID_String_
	structured shared.UUID_Structured_
	halves     shared.UUID_Structured
	stream     shared.StreamIdentifier
}

func (r *recordedEvent) set(e *store.Event, textIDs bool) *pb.ReadResp_ReadEvent_RecordedEvent {
	if textIDs {
		r.text.String_ = e.ID.String()
		r.id.Value = &r.text
	} else {
		r.halves.MostSignificantBits = int64(binary.BigEndian.Uint64(e.ID[:8]))
		r.halves.LeastSignificantBits = int64(binary.BigEndian.Uint64(e.ID[8:]))
		r.structured.Structured = &r.halves
		r.id.Value = &r.structured
	}
	r.stream.StreamName = []byte(e.Stream)
	r.event.Id = &r.id
	r.event.StreamIdentifier = &r.stream
	r.event.StreamRevision = e.Revision
	r.event.PreparePosition = e.Position
	r.event.CommitPosition = e.Position
	r.event.Metadata = map[string]string{
		keyType: e.Type, keyContentType: e.ContentType, keyCreated: strconv.FormatInt(e.Created, 10),
	}
	r.event.CustomMetadata = e.Metadata
	r.event.Data = e.Data
	return &r.event
}

// readEvent is the message that delivers one event.
type readEvent struct {
	recordedEvent
	response pb.ReadResp
	content  pb.ReadResp_Event
	read     pb.ReadResp_ReadEvent
	position pb.ReadResp_ReadEvent_CommitPosition
}

// eventMessage delivers an event, or a link with the event it leads to (nil when there is none).
func eventMessage(event, link *store.Event, textIDs bool) *pb.ReadResp {
	m := &readEvent{}
	original := event
	if event != nil {
		m.read.Event = m.set(event, textIDs)
	}
	if link != nil {
		original = link
		m.read.Link = (&recordedEvent{}).set(link, textIDs)
	}
	m.position.CommitPosition = original.Position
	m.read.Position = &m.position
	m.content.Event = &m.read
	m.response.Content = &m.content
	return &m.response
}

func streamNotFoundMessage(stream string) *pb.ReadResp {
	return &pb.ReadResp{Content: &pb.ReadResp_StreamNotFound_{StreamNotFound: &pb.ReadResp_StreamNotFound{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
	}}}
}

func confirmationMessage(id string) *pb.ReadResp {
	return &pb.ReadResp{Content: &pb.ReadResp_Confirmation{Confirmation: &pb.ReadResp_SubscriptionConfirmation{SubscriptionId: id}}}
}

func checkpointMessage(position uint64) *pb.ReadResp {
	return &pb.ReadResp{Content: &pb.ReadResp_Checkpoint_{Checkpoint: &pb.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position}}}
}

func caughtUpMessage() *pb.ReadResp {
	return &pb.ReadResp{Content: &pb.ReadResp_CaughtUp_{CaughtUp: &pb.ReadResp_CaughtUp{}}}
}

// parseUUID accepts both forms of an id.
func parseUUID(id *shared.UUID) (uuid.UUID, error) {
	switch value := id.GetValue().(type) {
	case *shared.UUID_Structured_:
		var out uuid.UUID
		binary.BigEndian.PutUint64(out[:8], uint64(value.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(out[8:], uint64(value.Structured.GetLeastSignificantBits()))
		return out, nil
	case *shared.UUID_String_:
		out, err := uuid.Parse(value.String_)
		if err != nil {
			return uuid.Nil, invalid("event id %q: %w", value.String_, err)
		}
		return out, nil
	}
	return uuid.Nil, invalid("an id is missing")
}

// proposal is what both kinds of append propose an event with.
type proposal interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

func newEvent(p proposal) (store.NewEvent, error) {
	id, err := parseUUID(p.GetId())
	if err != nil {
		return store.NewEvent{}, err
	}
	metadata := p.GetMetadata()
	kind, hasType := metadata[keyType]
	contentType, hasContentType := metadata[keyContentType]
	if !hasType || !hasContentType {
		return store.NewEvent{}, errMissingProperty
	}
	return store.NewEvent{ID: id, Type: kind, ContentType: contentType, Data: p.GetData(), Metadata: p.GetCustomMetadata()}, nil
}

// proposalSize is what a proposed event counts towards the limit of an append.
func proposalSize(p proposal) int {
	return len(p.GetMetadata()[keyType]) + len(p.GetData()) + len(p.GetCustomMetadata())
}
