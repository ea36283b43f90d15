// Package auditing reads a log as somebody who trusts nobody: verify.go proves the whole of it, explain.go says why one event is as
// it is, replay.go what held at a moment. Its ports have nothing to write with, so that an audit cannot change what it looks at.
package auditing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/v1"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Entry is an event as a log holds it, whoever has written it.
type Entry struct {
	transparency.Event
	Position   uint64
	RecordedAt time.Time // as domain.Recorded has it
	Damage     error     // the store's own checksum says that this is not what was written; nil when it is
}

// Log is a log from its beginning.
//
// Follow hands over every event behind a position that is not the store's own, in commit order, up to the end of the log as of
// the call. What handle returns ends it.
//
// When more of the log was there and cannot be read, Follow hands over what can, and fails with ErrDamaged.
//
// Head returns the commit position of the newest event.
type Log interface {
	Streams
	Follow(ctx context.Context, behind uint64, handle func(Entry) error) error
	Head(ctx context.Context) (uint64, error)
}

// ErrDamaged says that the log's store has lost or changed what it once acknowledged.
var ErrDamaged = errors.New("the log cannot be read any further")

// Streams are single streams of a log; see commands.EventStore. Other than there, an event that cannot be decoded is no failure:
// it comes without its Event, so that a single one does not keep an auditor from all the others.
type Streams interface {
	Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error)
	ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error)
}

// Decode returns the event of an entry. On an error everything but the event itself is filled in.
func Decode(registry *domain.Registry, e Entry) (domain.Recorded, error) {
	recorded := e.Place()
	if err := json.Unmarshal(e.Metadata, &recorded.Meta); err != nil {
		return recorded, fmt.Errorf("decode metadata: %w", err)
	}
	event, err := registry.Decode(e.Type, recorded.Meta.SchemaVersion, e.Data)
	recorded.Event = event
	return recorded, err
}

// Place returns where an entry stands, without the event itself.
func (e Entry) Place() domain.Recorded {
	return domain.Recorded{ID: e.ID, Stream: e.Stream, Revision: e.Revision, Position: e.Position, RecordedAt: e.RecordedAt}
}

// pageSize is how many events of a stream are read at once.
const pageSize = 500

// readable returns why nothing can be said that follows from an event, nil when it can.
func readable(r domain.Recorded) error {
	if r.Event == nil {
		return fmt.Errorf("revision %d of %s (position %d) cannot be decoded", r.Revision, r.Stream, r.Position)
	}
	return nil
}

// replayStream hands over the events of a stream, oldest first, until handle returns false. It fails at one that cannot be decoded.
func replayStream(ctx context.Context, streams Streams, stream string, handle func(domain.Recorded) bool) error {
	var unreadable error
	err := readStream(ctx, streams, stream, func(r domain.Recorded) bool {
		unreadable = readable(r)
		return unreadable == nil && handle(r)
	})
	return cmp.Or(err, unreadable)
}

// readStream hands over the events of a stream, oldest first and also those that cannot be decoded, until handle returns false.
func readStream(ctx context.Context, streams Streams, stream string, handle func(domain.Recorded) bool) error {
	for from := uint64(0); ; {
		page, err := streams.Read(ctx, stream, from, pageSize)
		if err != nil {
			return err
		}
		for _, r := range page {
			if !handle(r) {
				return nil
			}
		}
		if len(page) < pageSize {
			return nil
		}
		from = page[len(page)-1].Revision + 1
	}
}
