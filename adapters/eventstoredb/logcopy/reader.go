package logcopy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cenkalti/backoff/v5"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
)

// outageTimeout bounds how long a store may not answer before a copy gives up.
const outageTimeout = 30 * time.Second

// outlastOutage repeats an operation that may be repeated while its store does not answer.
func outlastOutage[T any](ctx context.Context, client *eventstoredb.Client, operation func(context.Context, *esdb.Client) (T, error)) (T, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = 50*time.Millisecond, 2*time.Second
	return backoff.Retry(ctx, func() (T, error) {
		ctx, cancel := context.WithTimeout(ctx, outageTimeout)
		defer cancel()
		value, err := eventstoredb.Do(ctx, client, operation)
		if err != nil && !errors.Is(err, commands.ErrStoreUnavailable) {
			return value, backoff.Permanent(err)
		}
		return value, err
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(outageTimeout))
}

// pageSize is how many events of a log are asked for at a time; those that are not copied are not kept.
const pageSize = 512

// reader reads the events of a log that a copy is about, in the order of the log.
type reader struct {
	client *eventstoredb.Client
	wanted func(stream, eventType string) bool
	ours   func(stream string) bool

	page      []*esdb.RecordedEvent
	position  esdb.Position // of the last event that was looked at
	ended     bool
	foreign   int64
	described map[string]bool                // those of our streams whose metadata was set
	taken     map[string]*esdb.RecordedEvent // those of our streams that hold an event that is not copied
}

// next returns the next event; nil at the end of the log.
func (r *reader) next(ctx context.Context) (*esdb.RecordedEvent, error) {
	for len(r.page) == 0 && !r.ended {
		if err := r.fetch(ctx); err != nil {
			return nil, err
		}
	}
	if len(r.page) == 0 {
		return nil, nil
	}
	event := r.page[0]
	r.page = r.page[1:]
	return event, nil
}

type page struct {
	events  []*esdb.RecordedEvent
	last    esdb.Position
	foreign int64
}

func (r *reader) fetch(ctx context.Context) error {
	read, err := outlastOutage(ctx, r.client, func(ctx context.Context, client *esdb.Client) (page, error) {
		read := page{last: r.position}
		var from esdb.AllPosition = esdb.Start{}
		if r.position.Commit > 0 {
			from = r.position // inclusive: the event that stands there is passed over
		}
		reading, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: from, Direction: esdb.Forwards}, pageSize)
		if err != nil {
			return read, err
		}
		defer reading.Close()
		for {
			resolved, err := reading.Recv()
			if eventstoredb.IsEnd(err) {
				return read, nil
			}
			if err != nil {
				return read, err
			}
			event := resolved.OriginalEvent()
			if event.Position.Commit <= r.position.Commit {
				continue
			}
			read.last = event.Position
			r.sort(&read, event)
		}
	})
	if err != nil {
		return err
	}
	r.ended = read.last == r.position
	r.page, r.position, r.foreign = read.events, read.last, r.foreign+read.foreign
	return nil
}

// sort puts an event where it belongs.
func (r *reader) sort(read *page, event *esdb.RecordedEvent) {
	stream, isMetadata := strings.CutPrefix(event.StreamID, "$$")
	switch {
	case isMetadata:
		if r.ours(stream) {
			r.described[stream] = true
		}
	case strings.HasPrefix(event.StreamID, "$") || strings.HasPrefix(event.EventType, "$") || event.StreamID == eventstoredb.CopyStream:
		// The store's own, or a copy's.
	case r.wanted(event.StreamID, event.EventType):
		read.events = append(read.events, event)
	default:
		read.foreign++
		if r.ours(event.StreamID) {
			r.taken[event.StreamID] = event
		}
	}
}
