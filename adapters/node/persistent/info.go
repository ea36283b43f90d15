package persistent

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"time"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
)

// statusLive is what every group is in that can be asked about.
const statusLive = "Live"

// anonymous is the user of a connection without credentials.
const anonymous = "anonymous"

// GetInfo describes one group.
func (s *Service) GetInfo(ctx context.Context, r *pb.GetInfoReq) (*pb.GetInfoResp, error) {
	o := r.GetOptions()
	_, all := o.GetStreamOption().(*pb.GetInfoReq_Options_All)
	id, err := identify(o.GetStreamIdentifier(), all, o.GetGroupName())
	if err != nil {
		return nil, answer(ctx, err)
	}
	w, err := s.find(id)
	if err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.GetInfoResp{SubscriptionInfo: w.info()}, nil
}

// List describes all groups, or those of one source.
func (s *Service) List(ctx context.Context, r *pb.ListReq) (*pb.ListResp, error) {
	source, err := listedSource(r.GetOptions())
	if err != nil {
		return nil, answer(ctx, err)
	}
	s.mu.RLock()
	closed := s.closed
	var found []*worker
	for _, w := range s.groups {
		if source == "" || w.Source == source {
			found = append(found, w)
		}
	}
	s.mu.RUnlock()
	if closed {
		return nil, answer(ctx, stopping())
	}
	if len(found) == 0 && source != "" {
		return nil, answer(ctx, missing(identity{source: source}))
	}
	sort.Slice(found, func(i, j int) bool { return found[i].identity().key() < found[j].identity().key() })
	listed := &pb.ListResp{Subscriptions: make([]*pb.SubscriptionInfo, len(found))}
	for i, w := range found {
		listed.Subscriptions[i] = w.info()
	}
	return listed, nil
}

// listedSource returns the source whose groups are asked for, empty for all groups.
func listedSource(o *pb.ListReq_Options) (string, error) {
	switch option := o.GetListOption().(type) {
	case *pb.ListReq_Options_ListAllSubscriptions:
		return "", nil
	case *pb.ListReq_Options_ListForStream:
		if _, all := option.ListForStream.GetStreamOption().(*pb.ListReq_StreamOption_All); all {
			return allStream, nil
		}
		if name := string(option.ListForStream.GetStream().GetStreamName()); name != "" {
			return name, nil
		}
		return "", invalid("the request names no stream")
	}
	return "", invalid("the request does not say what to list")
}

// info describes the group at the moment.
func (w *worker) info() *pb.SubscriptionInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	ready, retries := w.group.Buffered()
	live := 0
	if w.live {
		ready, live = 0, ready
	}
	settled := w.group.Settled()
	found := &pb.SubscriptionInfo{
		EventSource: w.Source, GroupName: w.Group, Status: statusLive, StartFrom: w.StartFrom,
		AveragePerSecond: perSecond(settled, now.Sub(w.since)), TotalItems: settled,
		CountSinceLastMeasurement:     settled - w.measured,
		LastCheckpointedEventPosition: w.position(w.group.LastCheckpoint(), w.From),
		LastKnownEventPosition:        w.position(w.group.Delivered(), w.From),
		ReadBufferCount:               int32(ready), LiveBufferCount: int64(live), RetryBufferCount: int32(retries),
		TotalInFlightMessages: int32(w.group.InFlight()), OutstandingMessagesCount: int32(w.group.InFlight()),
		ParkedMessageCount: w.parked.count(),

		ResolveLinkTos: w.Settings.ResolveLinks, ExtraStatistics: w.Settings.ExtraStatistics,
		MessageTimeoutMilliseconds: w.Settings.MessageTimeout, MaxRetryCount: w.Settings.MaxRetryCount,
		LiveBufferSize: w.Settings.LiveBufferSize, BufferSize: w.Settings.HistoryBufferSize,
		ReadBatchSize: w.Settings.ReadBatchSize, CheckPointAfterMilliseconds: w.Settings.CheckpointAfter,
		MinCheckPointCount: w.Settings.MinCheckpointCount, MaxCheckPointCount: w.Settings.MaxCheckpointCount,
		MaxSubscriberCount: w.Settings.MaxSubscriberCount, NamedConsumerStrategy: string(w.Settings.Strategy),
	}
	w.measured = settled
	for _, c := range w.connections {
		completed := c.consumer.Completed()
		found.Connections = append(found.Connections, &pb.SubscriptionInfo_ConnectionInfo{
			From: c.from, Username: anonymous, ConnectionName: c.name,
			AverageItemsPerSecond: perSecond(completed, now.Sub(c.since)), TotalItems: completed,
			CountSinceLastMeasurement: completed - c.measured,
			AvailableSlots:            int32(c.consumer.AvailableSlots()), InFlightMessages: int32(c.consumer.InFlight()),
		})
		c.measured = completed
	}
	return found
}

// position writes a point in the form the clients parse; empty for a group that has not moved from where it began.
func (w *worker) position(p, from Point) string {
	switch {
	case p <= from:
		return ""
	case w.Source == allStream:
		return fmt.Sprintf("C:%d/P:%d", p, p)
	}
	return strconv.FormatInt(int64(p), 10)
}

func perSecond(count int64, elapsed time.Duration) int32 {
	if elapsed < time.Second {
		return int32(min(count, 1<<31-1))
	}
	return int32(min(float64(count)/elapsed.Seconds(), 1<<31-1))
}
