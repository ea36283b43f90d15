package eventstoredb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/domain"
)

// A store stamps what is copied into it with the time of the copy, and metered hours follow from when a call was
// recorded. So a copy keeps that time: for most events the time of the decision, which their metadata holds, says the same
// hour; for the few that were decided in one hour and recorded in the next, the copy notes it in a stream of its own.

// CopyStream is where a log that was copied from another says so. It exists in no other log.
const CopyStream = "liveness-logcopy"

// The types of the events in CopyStream.
const (
	CopyBegunType     = "LogCopyBegun"     // from here on the log is not whole
	RecordedTimesType = "LogRecordedTimes" // of events whose metadata does not say them
	CopyCompletedType = "LogCopyCompleted" // the log is whole
)

// RecordedTimes is when events were recorded in the log that they were first written to.
type RecordedTimes struct {
	Times []RecordedTime `json:"times"`
}

// RecordedTime is when one event was recorded.
type RecordedTime struct {
	Stream     string    `json:"stream"`
	Revision   uint64    `json:"revision"`
	RecordedAt time.Time `json:"recordedAt"`
}

// CopyCompleted says what a copy came to.
type CopyCompleted struct {
	Position uint64 `json:"position"` // of the last copied event
	Events   int64  `json:"events"`
}

// ErrCopyIncomplete refuses a log that a copy was begun into and not ended.
var ErrCopyIncomplete = errors.New("the log is an incomplete copy. Run `liveness store copy` again: it goes on where it stopped")

// Copied is what a log says of having been copied.
type Copied struct {
	Begun     bool   // and not completed
	Completed bool   // at least once
	Position  uint64 // of the last copied event
	times     map[place]time.Time
}

type place struct {
	stream   string
	revision uint64
}

// Notes returns whether the time of an event is noted.
func (c *Copied) Notes(stream string, revision uint64) bool {
	_, noted := c.times[place{stream, revision}]
	return noted
}

// recordedAt returns when an event was recorded first, in this log or in the one that it was copied from.
func (c *Copied) recordedAt(raw *esdb.RecordedEvent, meta domain.Metadata) time.Time {
	return c.firstRecorded(raw.StreamID, raw.EventNumber, raw.Position.Commit, raw.CreatedDate, meta)
}

func (c *Copied) firstRecorded(stream string, revision, position uint64, created time.Time, meta domain.Metadata) time.Time {
	if c == nil || position > c.Position || meta.OccurredAt.IsZero() {
		return created.UTC()
	}
	if at, noted := c.times[place{stream, revision}]; noted {
		return at.UTC()
	}
	return meta.OccurredAt.UTC()
}

// RecordedAt returns the same of an event of which only its place and its metadata are known.
func (c *Copied) RecordedAt(stream string, revision, position uint64, created time.Time, metadata []byte) time.Time {
	var meta domain.Metadata
	if c == nil || position > c.Position || json.Unmarshal(metadata, &meta) != nil {
		return created.UTC()
	}
	return c.firstRecorded(stream, revision, position, created, meta)
}

// ReadCopiedFrom returns what events of CopyStream, oldest first, say of a log.
func ReadCopiedFrom(events []RawCopyEvent) (*Copied, error) {
	copied := &Copied{times: map[place]time.Time{}}
	for _, e := range events {
		if err := copied.apply(e); err != nil {
			return nil, fmt.Errorf("read %s: revision %d: %w", CopyStream, e.Revision, err)
		}
	}
	return copied, nil
}

// RawCopyEvent is an event of CopyStream as it stands there.
type RawCopyEvent struct {
	Revision uint64
	Type     string
	Data     []byte
}

// copiedTimeout bounds the reading of what a copy noted.
const copiedTimeout = 10 * time.Second

// ReadCopied returns what a log says of having been copied. It reads it anew.
func (c *Client) ReadCopied(ctx context.Context) (*Copied, error) {
	ctx, cancel := context.WithTimeout(ctx, copiedTimeout)
	defer cancel()
	events, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) ([]*esdb.RecordedEvent, error) {
		reading, err := client.ReadStream(ctx, CopyStream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Start{}}, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		var events []*esdb.RecordedEvent
		for {
			event, err := reading.Recv()
			if IsEnd(err) {
				return events, nil
			}
			if err != nil {
				return nil, err
			}
			events = append(events, event.OriginalEvent())
		}
	})
	if err != nil && !IsEnd(err) {
		return nil, fmt.Errorf("read %s: %w", CopyStream, lacks("read stream "+CopyStream, err))
	}
	raw := make([]RawCopyEvent, len(events))
	for i, event := range events {
		raw[i] = RawCopyEvent{event.EventNumber, event.EventType, event.Data}
	}
	copied, err := ReadCopiedFrom(raw)
	if err != nil {
		return nil, err
	}
	c.copied.Store(copied)
	return copied, nil
}

func (c *Copied) apply(event RawCopyEvent) error {
	switch event.Type {
	case CopyBegunType:
		c.Begun = true
	case RecordedTimesType:
		var noted RecordedTimes
		if err := json.Unmarshal(event.Data, &noted); err != nil {
			return err
		}
		for _, t := range noted.Times {
			c.times[place{t.Stream, t.Revision}] = t.RecordedAt
		}
	case CopyCompletedType:
		var completed CopyCompleted
		if err := json.Unmarshal(event.Data, &completed); err != nil {
			return err
		}
		c.Begun, c.Completed, c.Position = false, true, completed.Position
	}
	return nil
}

// ensureWhole refuses a log that is an incomplete copy, and makes sure that the times of a complete one are known.
func (c *Client) ensureWhole(ctx context.Context) error {
	copied := c.copied.Load()
	if copied == nil || copied.Begun {
		var err error
		if copied, err = c.ReadCopied(ctx); err != nil {
			return err
		}
	}
	if copied.Begun {
		return ErrCopyIncomplete
	}
	return nil
}

// RecordedAt returns when an event was recorded first, in this log or in the one that it was copied from. ReadCopied
// comes before.
func (c *Client) RecordedAt(raw *esdb.RecordedEvent) time.Time {
	var meta domain.Metadata
	if err := json.Unmarshal(raw.UserMetadata, &meta); err != nil || meta.OccurredAt.IsZero() {
		return raw.CreatedDate.UTC()
	}
	return c.copied.Load().recordedAt(raw, meta)
}
