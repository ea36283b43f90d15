package server

import (
	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// defaultWindow is the window of a filter that names none, in events.
const defaultWindow = 32

var errNoIDForm = invalid("the form of ids is missing")

// readRequest is a request to read or subscribe, checked.
type readRequest struct {
	stream       string // empty = the whole log
	direction    store.Direction
	atStart      bool
	from         uint64 // revision or position; store.End = end
	subscribe    bool
	count        uint64
	resolveLinks bool
	filter       *store.Filter
	// checkpointEvery is after how many considered events a filtered subscription tells how far it is.
	checkpointEvery uint64
	textIDs         bool
}

func (r *readRequest) all() bool { return r.stream == "" }

func parseRead(request *pb.ReadReq) (r readRequest, err error) {
	options := request.GetOptions()
	if options == nil {
		return r, invalid("the options are missing")
	}
	switch source := options.GetStreamOption().(type) {
	case *pb.ReadReq_Options_Stream:
		if r.stream = string(source.Stream.GetStreamIdentifier().GetStreamName()); r.stream == "" {
			return r, invalid("the stream name is empty")
		}
		switch from := source.Stream.GetRevisionOption().(type) {
		case *pb.ReadReq_Options_StreamOptions_Start:
			r.atStart = true
		case *pb.ReadReq_Options_StreamOptions_End:
			r.from = store.End
		case *pb.ReadReq_Options_StreamOptions_Revision:
			r.from = from.Revision
		default:
			return r, invalid("the revision to read from is missing")
		}
	case *pb.ReadReq_Options_All:
		switch from := source.All.GetAllOption().(type) {
		case *pb.ReadReq_Options_AllOptions_Start:
			r.atStart = true
		case *pb.ReadReq_Options_AllOptions_End:
			r.from = store.End
		case *pb.ReadReq_Options_AllOptions_Position:
			r.from = from.Position.GetCommitPosition()
		default:
			return r, invalid("the position to read from is missing")
		}
	default:
		return r, invalid("neither a stream nor $all is asked for")
	}
	if options.GetReadDirection() == pb.ReadReq_Options_Backwards {
		r.direction = store.Backwards
	}
	switch count := options.GetCountOption().(type) {
	case *pb.ReadReq_Options_Count:
		r.count = count.Count
	case *pb.ReadReq_Options_Subscription:
		r.subscribe = true
		if r.direction == store.Backwards {
			return r, invalid("a subscription goes forwards")
		}
	default:
		return r, invalid("neither a count nor a subscription is asked for")
	}
	switch options.GetUuidOption().GetContent().(type) {
	case *pb.ReadReq_Options_UUIDOption_Structured:
	case *pb.ReadReq_Options_UUIDOption_String_:
		r.textIDs = true
	default:
		return r, errNoIDForm
	}
	r.resolveLinks = options.GetResolveLinks()
	if filter, ok := options.GetFilterOption().(*pb.ReadReq_Options_Filter); ok {
		if !r.all() {
			return r, invalid("only $all can be filtered")
		}
		return r, r.parseFilter(filter.Filter)
	}
	return r, nil
}

func (r *readRequest) parseFilter(filter *pb.ReadReq_Options_FilterOptions) (err error) {
	byType := false
	var expression *pb.ReadReq_Options_FilterOptions_Expression
	switch by := filter.GetFilter().(type) {
	case *pb.ReadReq_Options_FilterOptions_StreamIdentifier:
		expression = by.StreamIdentifier
	case *pb.ReadReq_Options_FilterOptions_EventType:
		expression, byType = by.EventType, true
	default:
		return invalid("a filter is by stream name or by event type")
	}
	window := uint64(defaultWindow)
	if limited, ok := filter.GetWindow().(*pb.ReadReq_Options_FilterOptions_Max); ok && limited.Max > 0 {
		window = uint64(limited.Max)
	}
	r.checkpointEvery = window * max(1, uint64(filter.GetCheckpointIntervalMultiplier()))
	r.filter, err = store.NewFilter(byType, expression.GetRegex(), expression.GetPrefix())
	return err
}
