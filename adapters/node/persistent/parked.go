package persistent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// maxReason bounds the bytes kept of what a consumer says when it parks a message.
const maxReason = 1000

// parkBatch is how many messages are written to the parked stream in one append.
const parkBatch = 100

// parked is the stream of links to the messages that a group gave up. Replaying moves them back into the group; a link leaves
// the stream only when its message is settled again, so that a crash while replaying loses nothing.
type parked struct {
	store  *store.Store
	stream string
	// next is the number of the first link that waits to be replayed, end the number behind the last link.
	next, end uint64
	// until is the number at which the replay under way stops.
	until uint64
	// cut is the number below which the stream is truncated.
	cut uint64
}

func openParked(ctx context.Context, s *store.Store, stream string) (parked, error) {
	state, err := s.StreamState(ctx, stream)
	if err != nil {
		return parked{}, fmt.Errorf("open parked messages: %w", err)
	}
	p := parked{store: s, stream: stream, end: uint64(state.Last + 1)}
	p.next = min(state.FirstVisible, p.end)
	if state.SoftDeleted {
		p.next = p.end
	}
	p.until, p.cut = p.next, p.next
	return p, nil
}

// count returns how many messages are parked and not being replayed.
func (p *parked) count() int64 { return int64(p.end - max(p.next, p.until)) }

// replay asks for the links below stopAt to be replayed.
func (p *parked) replay(stopAt uint64) { p.until = max(p.until, min(stopAt, p.end)) }

func (p *parked) replaying() bool { return p.next < p.until }

// write appends links to the messages.
func (p *parked) write(ctx context.Context, parks []Park, now time.Time) (end uint64, err error) {
	events := make([]store.NewEvent, len(parks))
	for i, park := range parks {
		data := linkData(park.Message.Revision, park.Message.Stream)
		if park.Message.Replayed {
			// The message is a link in this stream, and goes on naming what that one named.
			old, found, err := p.store.ReadEvent(ctx, park.Message.Stream, park.Message.Revision)
			if err != nil {
				return 0, fmt.Errorf("park again: %w", err)
			}
			if found {
				data = old.Data
			}
		}
		metadata, err := json.Marshal(map[string]any{
			"added": now.UTC().Format(time.RFC3339Nano), "reason": shorten(park.Reason), "subscriptionEventNumber": park.Message.Revision,
		})
		if err != nil {
			return 0, fmt.Errorf("park: %w", err)
		}
		events[i] = store.NewEvent{ID: uuid.New(), Type: store.LinkType, ContentType: store.ContentTypeBinary, Data: data, Metadata: metadata}
	}
	result, err := p.store.Append(ctx, store.Write{Stream: p.stream, Expected: store.ExpectAny, Events: events})
	if err != nil {
		return 0, fmt.Errorf("park: %w", err)
	}
	return uint64(result.Revision + 1), nil
}

// read returns the next links to be replayed, and where to go on.
func (p *parked) read(ctx context.Context, src *source, limit int) (messages []*Message, next uint64, err error) {
	slice, err := p.store.ReadStream(ctx, p.stream, store.Forwards, p.next, limit)
	var deleted *store.StreamDeletedError
	if errors.Is(err, store.ErrStreamNotFound) || errors.As(err, &deleted) {
		return nil, p.until, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("replay parked messages: %w", err)
	}
	for i := range slice.Events {
		e := &slice.Events[i]
		if e.Revision >= p.until {
			return messages, p.until, nil
		}
		found, err := src.resolve(ctx, e, true)
		if err != nil {
			return nil, 0, fmt.Errorf("replay parked messages: %w", err)
		}
		messages = append(messages, &Message{
			Stream: e.Stream, Revision: e.Revision, ID: e.ID, Pin: src.pin(found), Payload: found, Size: found.size(),
		})
	}
	if slice.End {
		return messages, p.until, nil
	}
	return messages, min(slice.Next, p.until), nil
}

// truncate removes the links below a number from the stream.
func (p *parked) truncate(ctx context.Context, below uint64) error {
	_, err := p.store.Append(ctx, store.Write{
		Stream: store.MetadataPrefix + p.stream, Expected: store.ExpectAny,
		Events: []store.NewEvent{{
			ID: uuid.New(), Type: store.MetadataType, ContentType: store.ContentTypeJSON,
			Data: fmt.Appendf(nil, `{"$tb":%d}`, below),
		}},
	})
	if err != nil {
		return fmt.Errorf("truncate parked messages: %w", err)
	}
	return nil
}

// remove deletes the stream if it has anything.
func (p *parked) remove(ctx context.Context) error {
	if p.end == 0 {
		return nil
	}
	var deleted *store.StreamDeletedError
	if _, err := p.store.Delete(ctx, p.stream, store.ExpectAny); err != nil && !errors.As(err, &deleted) {
		return fmt.Errorf("delete parked messages: %w", err)
	}
	return nil
}

func shorten(reason string) string {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return strings.ToValidUTF8(reason, "")
}
