package server

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// pageSize is how many events are taken from the store at a time. It bounds what a slow reader holds in memory.
const pageSize = 256

// Streams is the Streams service of the protocol.
type Streams struct {
	pb.UnimplementedStreamsServer

	store         *store.Store
	line          *Line
	faults        *Faults
	subscriptions atomic.Int64 // that clients follow
}

var _ pb.StreamsServer = (*Streams)(nil)

// Read serves reads and catch-up subscriptions.
func (s *Streams) Read(request *pb.ReadReq, call pb.Streams_ReadServer) error {
	ctx := call.Context()
	r, err := parseRead(request)
	if err != nil {
		return answer(ctx, s.line.refuse(ctx, err))
	}
	d := &delivery{store: s.store, line: s.line, request: &r, call: call}
	if r.subscribe {
		s.subscriptions.Add(1)
		defer s.subscriptions.Add(-1)
	}
	switch {
	case r.subscribe && s.line != nil:
		err = d.subscribeLikeLine(ctx)
	case r.subscribe && r.all():
		err = d.subscribeAll(ctx)
	case r.subscribe:
		err = d.subscribeStream(ctx)
	case r.all():
		err = d.read(ctx, s.faults.stale(s.store, "", s.store.ReadAll))
	default:
		err = d.read(ctx, s.faults.stale(s.store, r.stream, func(ctx context.Context, direction store.Direction, from uint64, limit int) (store.Slice, error) {
			return s.store.ReadStream(ctx, r.stream, direction, from, limit)
		}))
	}
	return answer(ctx, err)
}

// delivery is one read or subscription under way.
type delivery struct {
	store   *store.Store
	line    *Line
	request *readRequest
	call    pb.Streams_ReadServer
}

// read sends what is asked for of what there is at the beginning: a read ends also where writers are faster.
func (d *delivery) read(ctx context.Context, page pages) error {
	head := d.store.Head()
	from, remaining := d.request.from, d.request.count
	for begun := false; remaining > 0 || !begun; begun = true {
		limit := pageSize
		if d.request.filter == nil {
			limit = int(min(max(remaining, 1), pageSize))
		}
		slice, err := page(ctx, d.request.direction, from, limit)
		if errors.Is(err, store.ErrStreamNotFound) {
			if begun {
				return nil // deleted meanwhile
			}
			if err := d.line.refuseMissing(d.request); err != nil {
				return err
			}
			return d.call.Send(streamNotFoundMessage(d.request.stream))
		}
		if err != nil {
			return err
		}
		for i := range slice.Events {
			event := &slice.Events[i]
			if event.Position > head && d.request.direction == store.Forwards || remaining == 0 {
				return nil
			}
			if !d.request.filter.Match(event) {
				continue
			}
			if err := d.send(ctx, event); err != nil {
				return err
			}
			remaining--
		}
		if slice.End {
			return nil
		}
		from = slice.Next
	}
	return nil
}

// send delivers an event, or what a link leads to when links are to be resolved.
func (d *delivery) send(ctx context.Context, event *store.Event) error {
	if !d.request.resolveLinks || event.Type != store.LinkType {
		return d.call.Send(eventMessage(event, nil, d.request.textIDs))
	}
	target, err := resolve(ctx, d.store, event)
	if err != nil {
		return err
	}
	return d.call.Send(eventMessage(target, event, d.request.textIDs))
}

// resolve returns the event that a link leads to, nil when there is none.
func resolve(ctx context.Context, s *store.Store, link *store.Event) (*store.Event, error) {
	number, stream, found := strings.Cut(string(link.Data), "@")
	revision, err := strconv.ParseUint(number, 10, 63)
	if !found || err != nil {
		return nil, nil
	}
	target, found, err := s.ReadEvent(ctx, stream, revision)
	if err != nil || !found {
		return nil, err
	}
	return &target, nil
}
