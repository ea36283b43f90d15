package persistent

import (
	"context"
	"fmt"
	"math"
	"strconv"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// ticksPerMillisecond is the length of a millisecond in the ticks of 100 ns that the oldest clients send.
const ticksPerMillisecond = 10_000

// start is where a group begins, as a client asks for it: at the beginning, behind what there is, or at an event.
type start struct {
	end bool
	at  uint64
	// prepare is the second half of a position; it only appears in the text form.
	prepare uint64
}

// text returns the form that the clients parse.
func (s start) text(source string) string {
	switch {
	case source == allStream && s.end:
		return "C:-1/P:-1"
	case source == allStream:
		return fmt.Sprintf("C:%d/P:%d", s.at, s.prepare)
	case s.end:
		return "-1"
	}
	return strconv.FormatUint(s.at, 10)
}

// resolve returns the point behind which the group begins.
func (s start) resolve(ctx context.Context, log *store.Store, id identity) (Point, error) {
	if id.source == allStream {
		head := log.Head()
		if s.end {
			return Point(head), nil
		}
		if s.at > head {
			return 0, failed(id, "position C:%d/P:%d is beyond the end of the log at %d", s.at, s.prepare, head)
		}
		return Point(s.at) - 1, nil
	}
	if s.end {
		state, err := log.StreamState(ctx, id.source)
		if err != nil {
			return 0, fmt.Errorf("find the end of the stream: %w", err)
		}
		return Point(state.Last), nil
	}
	return Point(s.at) - 1, nil
}

// startAtRevision reads a revision as the clients write it, with the greatest number for the end.
func startAtRevision(revision uint64) (start, error) {
	switch {
	case revision == math.MaxUint64:
		return start{end: true}, nil
	case revision > math.MaxInt64:
		return start{}, invalid("revision %d is too large", revision)
	}
	return start{at: revision}, nil
}

func startAtPosition(commit, prepare uint64) (start, error) {
	switch {
	case commit == math.MaxUint64 && prepare == math.MaxUint64:
		return start{end: true}, nil
	case prepare > commit:
		return start{}, invalid("position C:%d/P:%d has its prepare position behind its commit position", commit, prepare)
	case commit > math.MaxInt64:
		return start{}, invalid("position C:%d/P:%d is too large", commit, prepare)
	}
	return start{at: commit, prepare: prepare}, nil
}

// identify checks the name of a group. Without a stream identifier the group is one on the log.
func identify(stream *shared.StreamIdentifier, all bool, group string) (identity, error) {
	id := identity{source: string(stream.GetStreamName()), group: group}
	switch {
	case all:
		id.source = allStream
	case id.source == "":
		return id, invalid("the request names no stream")
	case id.source == allStream:
		return id, invalid("a group on $all is asked for with the option for it, not as a stream")
	}
	if group == "" {
		return id, invalid("the request names no group")
	}
	return id, nil
}

func createTarget(o *pb.CreateReq_Options) (identity, start, error) {
	switch option := o.GetStreamOption().(type) {
	case *pb.CreateReq_Options_Stream:
		id, err := identify(option.Stream.GetStreamIdentifier(), false, o.GetGroupName())
		if err != nil {
			return id, start{}, err
		}
		switch from := option.Stream.GetRevisionOption().(type) {
		case *pb.CreateReq_StreamOptions_Start:
			return id, start{}, nil
		case *pb.CreateReq_StreamOptions_End:
			return id, start{end: true}, nil
		case *pb.CreateReq_StreamOptions_Revision:
			begin, err := startAtRevision(from.Revision)
			return id, begin, err
		}
		return id, start{}, invalid("the request does not say where the group starts")
	case *pb.CreateReq_Options_All:
		id, err := identify(nil, true, o.GetGroupName())
		if err != nil {
			return id, start{}, err
		}
		switch from := option.All.GetAllOption().(type) {
		case *pb.CreateReq_AllOptions_Start:
			return id, start{}, nil
		case *pb.CreateReq_AllOptions_End:
			return id, start{end: true}, nil
		case *pb.CreateReq_AllOptions_Position:
			begin, err := startAtPosition(from.Position.GetCommitPosition(), from.Position.GetPreparePosition())
			return id, begin, err
		}
		return id, start{}, invalid("the request does not say where the group starts")
	}
	// The form of clients before 21.10, which the Node.js client still sends for streams.
	id, err := identify(o.GetStreamIdentifier(), false, o.GetGroupName())
	if err != nil {
		return id, start{}, err
	}
	begin, err := startAtRevision(o.GetSettings().GetRevision())
	return id, begin, err
}

func updateTarget(o *pb.UpdateReq_Options) (identity, start, error) {
	switch option := o.GetStreamOption().(type) {
	case *pb.UpdateReq_Options_Stream:
		id, err := identify(option.Stream.GetStreamIdentifier(), false, o.GetGroupName())
		if err != nil {
			return id, start{}, err
		}
		switch from := option.Stream.GetRevisionOption().(type) {
		case *pb.UpdateReq_StreamOptions_Start:
			return id, start{}, nil
		case *pb.UpdateReq_StreamOptions_End:
			return id, start{end: true}, nil
		case *pb.UpdateReq_StreamOptions_Revision:
			begin, err := startAtRevision(from.Revision)
			return id, begin, err
		}
		return id, start{}, invalid("the request does not say where the group starts")
	case *pb.UpdateReq_Options_All:
		id, err := identify(nil, true, o.GetGroupName())
		if err != nil {
			return id, start{}, err
		}
		switch from := option.All.GetAllOption().(type) {
		case *pb.UpdateReq_AllOptions_Start:
			return id, start{}, nil
		case *pb.UpdateReq_AllOptions_End:
			return id, start{end: true}, nil
		case *pb.UpdateReq_AllOptions_Position:
			begin, err := startAtPosition(from.Position.GetCommitPosition(), from.Position.GetPreparePosition())
			return id, begin, err
		}
		return id, start{}, invalid("the request does not say where the group starts")
	}
	id, err := identify(o.GetStreamIdentifier(), false, o.GetGroupName())
	if err != nil {
		return id, start{}, err
	}
	begin, err := startAtRevision(o.GetSettings().GetRevision())
	return id, begin, err
}

// wireSettings is what CreateReq_Settings and UpdateReq_Settings have in common.
type wireSettings interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
}

func commonSettings(s wireSettings) Settings {
	return Settings{
		ResolveLinks: s.GetResolveLinks(), ExtraStatistics: s.GetExtraStatistics(), MaxRetryCount: s.GetMaxRetryCount(),
		MinCheckpointCount: s.GetMinCheckpointCount(), MaxCheckpointCount: s.GetMaxCheckpointCount(),
		MaxSubscriberCount: s.GetMaxSubscriberCount(), LiveBufferSize: s.GetLiveBufferSize(),
		ReadBatchSize: s.GetReadBatchSize(), HistoryBufferSize: s.GetHistoryBufferSize(),
	}
}

func createSettings(s *pb.CreateReq_Settings) Settings {
	settings := commonSettings(s)
	settings.Strategy = Strategy(s.GetConsumerStrategy())
	if settings.Strategy == "" {
		settings.Strategy = Strategy(s.GetNamedConsumerStrategy().String())
	}
	switch timeout := s.GetMessageTimeout().(type) {
	case *pb.CreateReq_Settings_MessageTimeoutMs:
		settings.MessageTimeout = timeout.MessageTimeoutMs
	case *pb.CreateReq_Settings_MessageTimeoutTicks:
		settings.MessageTimeout = milliseconds(timeout.MessageTimeoutTicks)
	}
	switch after := s.GetCheckpointAfter().(type) {
	case *pb.CreateReq_Settings_CheckpointAfterMs:
		settings.CheckpointAfter = after.CheckpointAfterMs
	case *pb.CreateReq_Settings_CheckpointAfterTicks:
		settings.CheckpointAfter = milliseconds(after.CheckpointAfterTicks)
	}
	return settings
}

func updateSettings(s *pb.UpdateReq_Settings) Settings {
	settings := commonSettings(s)
	settings.Strategy = Strategy(s.GetNamedConsumerStrategy().String())
	switch timeout := s.GetMessageTimeout().(type) {
	case *pb.UpdateReq_Settings_MessageTimeoutMs:
		settings.MessageTimeout = timeout.MessageTimeoutMs
	case *pb.UpdateReq_Settings_MessageTimeoutTicks:
		settings.MessageTimeout = milliseconds(timeout.MessageTimeoutTicks)
	}
	switch after := s.GetCheckpointAfter().(type) {
	case *pb.UpdateReq_Settings_CheckpointAfterMs:
		settings.CheckpointAfter = after.CheckpointAfterMs
	case *pb.UpdateReq_Settings_CheckpointAfterTicks:
		settings.CheckpointAfter = milliseconds(after.CheckpointAfterTicks)
	}
	return settings
}

func milliseconds(ticks int64) int32 {
	return int32(min(max(ticks/ticksPerMillisecond, math.MinInt32), math.MaxInt32))
}

// checkSettings refuses settings in the way that the real server does.
func checkSettings(id identity, s Settings) error {
	if !s.known() {
		return failed(id, "consumer strategy %s does not exist", s.Strategy)
	}
	if err := s.Validate(); err != nil {
		return invalid("%s", err)
	}
	return nil
}

// createFilter reads the filter of a group on the log; nil when there is none.
func createFilter(all *pb.CreateReq_AllOptions) (*filterDefinition, error) {
	option, ok := all.GetFilterOption().(*pb.CreateReq_AllOptions_Filter)
	if !ok {
		return nil, nil
	}
	var expression *pb.CreateReq_AllOptions_FilterOptions_Expression
	found := &filterDefinition{}
	switch filter := option.Filter.GetFilter().(type) {
	case *pb.CreateReq_AllOptions_FilterOptions_EventType:
		found.ByType, expression = true, filter.EventType
	case *pb.CreateReq_AllOptions_FilterOptions_StreamIdentifier:
		expression = filter.StreamIdentifier
	default:
		return nil, invalid("the filter is neither on stream names nor on event types")
	}
	found.Regex, found.Prefixes = expression.GetRegex(), expression.GetPrefix()
	if _, err := store.NewFilter(found.ByType, found.Regex, found.Prefixes); err != nil {
		return nil, invalid("%s", err)
	}
	window := uint32(32)
	if limit, ok := option.Filter.GetWindow().(*pb.CreateReq_AllOptions_FilterOptions_Max); ok {
		window = limit.Max
	}
	found.Interval = int64(max(window, 1)) * int64(max(option.Filter.GetCheckpointIntervalMultiplier(), 1))
	return found, nil
}
