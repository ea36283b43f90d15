package auditing

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Find returns the event with an id, or the first one that the request with that id led to; false when there is none.
func Find(ctx context.Context, log Log, id uuid.UUID) (found domain.Recorded, ok bool, err error) {
	registry, text := domain.NewRegistry(), []byte(id.String())
	err = log.Follow(ctx, 0, func(e Entry) error {
		if !registry.Owns(e.Stream, e.Type) || e.ID != id && !bytes.Contains(e.Metadata, text) {
			return nil
		}
		r, err := Decode(registry, e)
		if err != nil {
			return err
		}
		if e.ID == id || !ok && r.Meta.CorrelationID == id {
			found, ok = r, true
		}
		if e.ID == id {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, ok, err
}

// Subscriptions returns the subscriptions that had begun at a moment, in the order of the log, and the moment with the time when
// the log had come to its position.
func Subscriptions(ctx context.Context, log Log, at Moment) ([]uuid.UUID, Moment, error) {
	var ids []uuid.UUID
	err := log.Follow(ctx, 0, func(e Entry) error {
		if !at.includes(e.Place()) {
			return errEnough
		}
		if at.Position > 0 {
			at.Time = e.RecordedAt
		}
		if e.Revision > 0 || !domain.CategorySubscription.Holds(e.Stream) {
			return nil
		}
		id, err := uuid.Parse(strings.TrimPrefix(e.Stream, string(domain.CategorySubscription)+"-"))
		ids = append(ids, id)
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return ids, at, err
}

// FindIn returns the event with an id from one of the streams named; false when none has it.
func FindIn(ctx context.Context, streams Streams, id uuid.UUID, names ...string) (found domain.Recorded, ok bool, err error) {
	for _, name := range names {
		err := readStream(ctx, streams, name, func(r domain.Recorded) bool {
			if r.ID == id {
				found, ok = r, true
			}
			return !ok
		})
		if err == nil && ok {
			err = readable(found)
		}
		if err != nil || ok {
			return found, ok, err
		}
	}
	return found, false, nil
}
