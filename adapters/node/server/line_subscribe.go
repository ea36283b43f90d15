package server

import (
	"context"
	"errors"
	"runtime"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// liveBuffer is how many events and checkpoints wait for the reader of a live subscription.
const liveBuffer = 32

// errTooSlow ends the subscription of a reader that does not keep up.
var errTooSlow = status.Error(codes.Aborted, "Operation timed out: Consumer too slow to handle event while live. Client resubscription required.")

// lineSubscription is a subscription as the servers of a line carry it out: first it reads page by page at the reader's pace;
// once live, events come to it, and only liveBuffer of them wait.
type lineSubscription struct {
	*delivery

	followed followed
	// next is where reading goes on. sent is the last place that the reader knows of: where it began, or that of an event or
	// checkpoint; store.End when that is the start.
	next, sent uint64
	considered uint64 // events since the last checkpoint
	muted      bool   // no checkpoint is sent any more
	// confirmed is the place from which on events come live too, and late how many of those were read while catching up.
	confirmed uint64
	late      int
}

// followed is the log or the stream that is subscribed to.
type followed interface {
	// page reads on from a place.
	page(ctx context.Context, next uint64) (store.Slice, error)
	// wait returns once there may be an event at the place or behind it.
	wait(ctx context.Context, next uint64) error
	// end returns the place behind the last event.
	end(ctx context.Context) (uint64, error)
	// place is where an event is.
	place(*store.Event) uint64
}

func (d *delivery) subscribeLikeLine(ctx context.Context) error {
	s := &lineSubscription{delivery: d, followed: followedLog{d.store}}
	if !d.request.all() {
		watch := d.store.Watch(d.request.stream)
		defer watch.Stop()
		s.followed = followedStream{store: d.store, name: d.request.stream, watch: watch}
	}
	end, err := s.followed.end(ctx)
	if err != nil {
		return err
	}
	switch {
	case d.request.atStart:
	case d.request.from == store.End, d.line.clampsBeyondEnd && d.request.from >= end:
		s.next = end
	default:
		s.next = d.request.from + 1
	}
	s.sent = s.next - 1 // store.End before the first place there is
	s.confirmed = end
	if err := d.confirm(); err != nil {
		return err
	}
	live := !d.request.atStart && s.next >= end
	for ; ; live = false {
		if !live {
			if err := s.catchUp(ctx); err != nil {
				return err
			}
		}
		if err := d.call.Send(caughtUpMessage()); err != nil {
			return err
		}
		if s.overrun() {
			continue
		}
		if err := s.goLive(ctx); err != nil {
			return err
		}
	}
}

// catchUp sends what there is already, as fast as the reader takes it.
func (s *lineSubscription) catchUp(ctx context.Context) error {
	for {
		page, err := s.followed.page(ctx, s.next)
		if s.line.awaitsStream && errors.Is(err, store.ErrStreamNotFound) {
			if err := s.followed.wait(ctx, s.next); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, store.ErrStreamNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range page.Events {
			if err := s.consider(&page.Events[i], s.deliver); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		s.next = max(s.next, page.Next)
		if page.End {
			return s.endOfHistory()
		}
	}
}

// overrun returns whether more came while the reader was catching up than waits for it. It catches up once more then, and is told
// so again with nothing between.
func (s *lineSubscription) overrun() bool {
	late := s.late
	s.late, s.confirmed = 0, s.next
	return late > liveBuffer && !s.line.dropsSlowReaders
}

func (s *lineSubscription) endOfHistory() error {
	if s.request.filter == nil || !s.line.checkpointAtEnd || s.muted {
		return nil
	}
	s.considered = 0
	s.muted = s.sent == store.End
	return s.call.Send(checkpointMessage(s.sent))
}

// item is an event or a checkpoint for the reader.
type item struct {
	event      *store.Event
	checkpoint uint64
}

// consider hands an event on when it matches, and a checkpoint when one is due.
func (s *lineSubscription) consider(event *store.Event, hand func(item) error) error {
	if s.request.filter.Match(event) {
		if err := hand(item{event: event}); err != nil {
			return err
		}
	}
	if s.request.filter == nil {
		return nil
	}
	if s.considered++; s.considered < s.request.checkpointEvery {
		return nil
	}
	s.considered = 0
	if s.muted {
		return nil
	}
	return hand(item{checkpoint: event.Position})
}

// deliver sends an item to the reader, and waits until there is room for it on the way.
func (s *lineSubscription) deliver(i item) error {
	if i.event == nil {
		s.sent = i.checkpoint
		return s.call.Send(checkpointMessage(i.checkpoint))
	}
	if s.sent = s.followed.place(i.event); s.sent >= s.confirmed {
		s.late++
	}
	return s.send(s.call.Context(), i.event)
}

// goLive sends what comes, until the reader is too slow for it: errTooSlow where the line drops such readers, nil where it
// catches up again.
func (s *lineSubscription) goLive(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	buffer := make(chan item, liveBuffer)
	pumped := make(chan error, 1)
	go func() {
		defer close(buffer)
		pumped <- s.pump(ctx, buffer)
	}()
	var err error
	for i := range buffer {
		if err = s.deliver(i); err != nil {
			break
		}
	}
	cancel()
	if pumpErr := <-pumped; err == nil {
		err = pumpErr
	}
	if !errors.Is(err, errTooSlow) || s.line.dropsSlowReaders {
		return err
	}
	s.next, s.considered, s.late = s.sent+1, 0, 0
	return nil
}

// pump fills the buffer with what is appended.
func (s *lineSubscription) pump(ctx context.Context, buffer chan<- item) error {
	for next := s.next; ; {
		page, err := s.followed.page(ctx, next)
		if err != nil && !errors.Is(err, store.ErrStreamNotFound) {
			return err
		}
		for i := range page.Events {
			err := s.consider(&page.Events[i], func(i item) error {
				select {
				case buffer <- i:
					return nil
				default:
					return errTooSlow
				}
			})
			if err != nil {
				return err
			}
			// A real server handles one event after another, which gives the sender of each its turn.
			runtime.Gosched()
		}
		next = max(next, page.Next)
		if len(page.Events) > 0 && !page.End {
			continue
		}
		if err := s.followed.wait(ctx, next); err != nil {
			return err
		}
	}
}

// followedLog is the whole log; its places are positions.
type followedLog struct{ store *store.Store }

func (l followedLog) page(ctx context.Context, next uint64) (store.Slice, error) {
	return l.store.ReadAll(ctx, store.Forwards, next, pageSize)
}

func (l followedLog) wait(ctx context.Context, next uint64) error {
	return l.store.WaitBeyond(ctx, next-min(next, 1))
}

func (l followedLog) end(context.Context) (uint64, error) { return l.store.Head() + 1, nil }

func (l followedLog) place(event *store.Event) uint64 { return event.Position }

// followedStream is one stream; its places are revisions.
type followedStream struct {
	store *store.Store
	name  string
	watch *store.Watch
}

func (s followedStream) page(ctx context.Context, next uint64) (store.Slice, error) {
	return s.store.ReadStream(ctx, s.name, store.Forwards, next, pageSize)
}

func (s followedStream) wait(ctx context.Context, _ uint64) error {
	select {
	case _, open := <-s.watch.C:
		if !open {
			return store.ErrClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s followedStream) end(ctx context.Context) (uint64, error) {
	state, err := s.store.StreamState(ctx, s.name)
	return uint64(state.Last + 1), err
}

func (s followedStream) place(event *store.Event) uint64 { return event.Revision }
