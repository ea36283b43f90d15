package store

import (
	"context"
	"database/sql/driver"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// pageEvents and pageBytes bound one page, whatever the reader asks for.
	pageEvents = 1024
	pageBytes  = 1 << 20
)

// Slice is one page of a read. It may hold fewer events than asked for, even none, without being the end.
type Slice struct {
	Events []Event
	// Next is where the following page begins: a revision for a stream, a position for the log.
	Next uint64
	// End says that there is nothing further in this direction at the moment.
	End bool
}

// StreamState is what a stream is like at the moment.
type StreamState struct {
	// Last is the last revision ever given, -1 without events.
	Last int64
	// FirstVisible is the first revision that a read can still show ($tb, $maxCount, $maxAge applied).
	FirstVisible uint64
	// SoftDeleted streams are not found by readers but may be appended to.
	SoftDeleted bool
	// Tombstoned streams are gone for ever.
	Tombstoned bool

	id int64
}

// Missing says that readers do not find the stream.
func (s StreamState) Missing() bool { return s.Last < 0 || s.SoftDeleted }

// eventColumns are what scanEvent reads; the joins turn the numbers of stream and type into names.
const (
	eventColumns = `SELECT e.position, e.revision, e.json, e.created, e.checksum, e.id, e.metadata, e.data, n.name, s.name
		FROM events e CROSS JOIN names n ON n.id = e.type CROSS JOIN streams s ON s.id = e.stream `
	eventWidth = 10
)

func scanEvent(row []driver.Value) (Event, error) {
	columns := columns{row: row}
	e := Event{Position: uint64(columns.integer()), Revision: uint64(columns.integer()), ContentType: ContentTypeBinary}
	if columns.integer() != 0 {
		e.ContentType = ContentTypeJSON
	}
	e.Created = columns.integer()
	stored := columns.integer()
	if id := columns.blob(); len(id) == len(e.ID) {
		e.ID = uuid.UUID(id)
	}
	e.Metadata, e.Data, e.Type, e.Stream = columns.blob(), columns.blob(), columns.text(), columns.text()
	if columns.err != nil {
		return Event{}, columns.err
	}
	return e, verified(&e, stored)
}

// events reads a page. full says that it ended because it was full, not because there was no more.
func (c *conn) events(ctx context.Context, sql string, limit int, args ...driver.Value) (events []Event, full bool, err error) {
	limit = max(1, min(limit, pageEvents))
	size := 0
	err = c.query(ctx, eventColumns+sql+` LIMIT ?`, eventWidth, func(row []driver.Value) (bool, error) {
		e, err := scanEvent(row)
		if err != nil {
			return false, err
		}
		events = append(events, e)
		size += weight(&e)
		full = len(events) == limit || size > pageBytes
		return !full, nil
	}, append(args, int64(limit))...)
	return events, full, err
}

// state reads what a stream is like. A stream of metadata shares the end of the stream it describes.
func (c *conn) state(ctx context.Context, stream string, now time.Time) (StreamState, error) {
	h, err := loadHead(ctx, c, stream)
	if err != nil {
		return StreamState{}, err
	}
	s := StreamState{Last: h.last, SoftDeleted: h.softDeleted(), Tombstoned: h.tombstoned, FirstVisible: h.visibleFrom(h.last), id: h.id}
	if original, ok := strings.CutPrefix(stream, MetadataPrefix); ok {
		s.FirstVisible = uint64(max(h.last, 0))
		deleted, _, err := c.integer(ctx, `SELECT tombstoned FROM streams WHERE name = ?`, original)
		s.Tombstoned = s.Tombstoned || deleted != 0
		return s, err
	}
	if h.maxAge > 0 && h.last >= 0 && !s.SoftDeleted {
		first, err := c.firstYoung(ctx, h, s.FirstVisible, h.youngerThan(now))
		if err != nil {
			return StreamState{}, err
		}
		s.FirstVisible = first
	}
	return s, nil
}

// firstYoung finds the first revision from a given one that was created at or after a time. Creation times never fall.
func (c *conn) firstYoung(ctx context.Context, h *head, from uint64, since int64) (uint64, error) {
	low, high := from, uint64(h.last+1)
	for low < high {
		middle := low + (high-low)/2
		created, found, err := c.integer(ctx, `SELECT created FROM events WHERE stream = ? AND revision = ?`, h.id, int64(middle))
		if err != nil {
			return 0, err
		}
		if found && created >= since {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

func (c *conn) readStream(ctx context.Context, s StreamState, direction Direction, from uint64, limit int) (Slice, error) {
	if direction == Forwards {
		from = max(from, s.FirstVisible)
		if from > uint64(s.Last) {
			return Slice{Next: from, End: true}, nil
		}
		events, _, err := c.events(ctx, `WHERE e.stream = ? AND e.revision BETWEEN ? AND ? ORDER BY e.revision`, limit, s.id, int64(from), s.Last)
		if err != nil || len(events) == 0 {
			return Slice{Next: from, End: true}, err
		}
		last := events[len(events)-1].Revision
		return Slice{Events: events, Next: last + 1, End: last >= uint64(s.Last)}, nil
	}
	from = min(from, uint64(s.Last))
	if from < s.FirstVisible {
		return Slice{End: true}, nil
	}
	events, _, err := c.events(ctx, `WHERE e.stream = ? AND e.revision BETWEEN ? AND ? ORDER BY e.revision DESC`, limit, s.id, int64(s.FirstVisible), int64(from))
	if err != nil || len(events) == 0 {
		return Slice{End: true}, err
	}
	last := events[len(events)-1].Revision
	if last <= s.FirstVisible {
		return Slice{Events: events, End: true}, nil
	}
	return Slice{Events: events, Next: last - 1}, nil
}

func (c *conn) readAll(ctx context.Context, direction Direction, from uint64, limit int) (Slice, error) {
	from = min(from, math.MaxInt64)
	if direction == Backwards {
		events, full, err := c.events(ctx, `WHERE e.position < ? ORDER BY e.position DESC`, limit, int64(from))
		if err != nil || len(events) == 0 {
			return Slice{End: true}, err
		}
		return Slice{Events: events, Next: events[len(events)-1].Position, End: !full}, nil
	}
	events, full, err := c.events(ctx, `WHERE e.position >= ? ORDER BY e.position`, limit, int64(from))
	if err != nil || len(events) == 0 {
		return Slice{Next: from, End: true}, err
	}
	return Slice{Events: events, Next: events[len(events)-1].Position + 1, End: !full}, nil
}

// readEvent returns one visible event of a stream.
func (c *conn) readEvent(ctx context.Context, s StreamState, revision uint64) (Event, bool, error) {
	if s.Missing() || s.Tombstoned || revision < s.FirstVisible || revision > uint64(s.Last) {
		return Event{}, false, nil
	}
	events, _, err := c.events(ctx, `WHERE e.stream = ? AND e.revision = ?`, 1, s.id, int64(revision))
	if err != nil || len(events) == 0 {
		return Event{}, false, err
	}
	return events[0], true, nil
}
