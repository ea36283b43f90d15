package server

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// behindPages is after how many full pages in a row a live subscription counts as having fallen behind.
const behindPages = 16

// pace knows whether a subscription is live, to say so once and again after it has fallen behind.
type pace struct {
	live      bool
	fullPages int
}

// page notes whether a page was the last one; it returns true when the subscription has caught up with it.
func (p *pace) page(end bool) bool {
	if !end {
		if p.fullPages++; p.fullPages >= behindPages {
			p.live = false
		}
		return false
	}
	p.fullPages = 0
	caughtUp := !p.live
	p.live = true
	return caughtUp
}

func (d *delivery) confirm() error {
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	return d.call.Send(confirmationMessage(id.String()))
}

// subscribeAll follows the log: history, then what is appended, until the client ends the call.
func (d *delivery) subscribeAll(ctx context.Context) error {
	// told is the last position that the client knows of: its own, that of a checkpoint or of an event.
	var told, next uint64
	switch {
	case d.request.atStart:
	case d.request.from == store.End:
		next = d.store.Head() + 1
	default:
		told, next = d.request.from, d.request.from+1
	}
	if err := d.confirm(); err != nil {
		return err
	}
	var pace pace
	considered := uint64(0)
	for {
		page, err := d.store.ReadAll(ctx, store.Forwards, next, pageSize)
		if err != nil {
			return err
		}
		for i := range page.Events {
			event := &page.Events[i]
			if d.request.filter.Match(event) {
				if err := d.send(ctx, event); err != nil {
					return err
				}
			}
			if considered++; d.request.filter != nil && considered >= d.request.checkpointEvery {
				considered, told = 0, event.Position
				if err := d.call.Send(checkpointMessage(told)); err != nil {
					return err
				}
			}
		}
		next = max(next, page.Next)
		if pace.page(page.End) {
			if reached := next - min(next, 1); d.request.filter != nil && reached > told {
				considered, told = 0, reached
				if err := d.call.Send(checkpointMessage(told)); err != nil {
					return err
				}
			}
			if err := d.call.Send(caughtUpMessage()); err != nil {
				return err
			}
		}
		if page.End {
			if err := d.store.WaitBeyond(ctx, next-min(next, 1)); err != nil {
				return err
			}
		}
	}
}

// subscribeStream follows a stream, which need not exist yet. Its end for ever ends the subscription.
func (d *delivery) subscribeStream(ctx context.Context) error {
	watch := d.store.Watch(d.request.stream)
	defer watch.Stop()
	next := uint64(0)
	switch {
	case d.request.atStart:
	case d.request.from == store.End:
		state, err := d.store.StreamState(ctx, d.request.stream)
		if err != nil {
			return err
		}
		next = uint64(state.Last + 1)
	default:
		next = d.request.from + 1
	}
	if err := d.confirm(); err != nil {
		return err
	}
	var pace pace
	for {
		page, err := d.store.ReadStream(ctx, d.request.stream, store.Forwards, next, pageSize)
		if errors.Is(err, store.ErrStreamNotFound) {
			page, err = store.Slice{Next: next, End: true}, nil
		}
		if err != nil {
			return err
		}
		for i := range page.Events {
			if err := d.send(ctx, &page.Events[i]); err != nil {
				return err
			}
		}
		next = max(next, page.Next)
		if pace.page(page.End) {
			if err := d.call.Send(caughtUpMessage()); err != nil {
				return err
			}
		}
		if !page.End {
			continue
		}
		select {
		case _, open := <-watch.C:
			if !open {
				return store.ErrClosed
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
