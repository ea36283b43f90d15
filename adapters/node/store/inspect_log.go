package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// A damaged store is not served, and yet somebody has to see what is wrong with it: here events are read as they stand in the
// file, whether they are whole or not.

const (
	// anyEvent are the columns of scanEvent, also of events whose stream or type has no name any more.
	anyEvent = `SELECT e.position, e.revision, e.json, e.created, e.checksum, e.id, e.metadata, e.data, ifnull(n.name, ''), ifnull(s.name, '')
		FROM events e LEFT JOIN names n ON n.id = e.type LEFT JOIN streams s ON s.id = e.stream `
	logPage = 2048
)

// Head returns the position of the last event.
func (i *Inspector) Head(ctx context.Context) (uint64, error) {
	head, _, err := i.c.integer(ctx, `SELECT max(position) FROM events`)
	return uint64(head), err
}

// ID returns the id of the event at a position; false when there is none.
func (i *Inspector) ID(ctx context.Context, position uint64) (id uuid.UUID, found bool, err error) {
	err = i.c.query(ctx, `SELECT id FROM events WHERE position = ?`, 1, func(row []driver.Value) (bool, error) {
		columns := columns{row: row}
		id, err = uuid.FromBytes(columns.blob())
		found = true
		return false, errors.Join(columns.err, err)
	}, int64(position))
	return id, found, err
}

// Log hands over every event behind a position, in the order of the log, up to its end as of the call. Damage says what is wrong
// with an event, or with what should stand before it; then the event is as it stands in the file. When the log ends before what
// was acknowledged, or the file cannot be read any further, Log fails with ErrCorrupt, behind all that can be read.
func (i *Inspector) Log(ctx context.Context, behind uint64, handle func(e Event, damage error) error) error {
	head, err := i.Head(ctx)
	if err != nil {
		return err
	}
	last := behind
	for more := true; more; {
		more = false
		page := make([]Event, 0, logPage)
		damages := make([]error, 0, logPage)
		err := i.c.query(ctx, anyEvent+`WHERE e.position > ? AND e.position <= ? ORDER BY e.position LIMIT ?`, eventWidth,
			func(row []driver.Value) (bool, error) {
				e, damage := scanEvent(row)
				if damage != nil && !errors.Is(damage, ErrCorrupt) {
					return false, damage
				}
				if damage != nil {
					damage = errors.New("it does not match its checksum: it was changed in the file")
				}
				page, damages = append(page, e), append(damages, damage)
				return true, nil
			}, int64(last), int64(head), int64(logPage))
		if err != nil {
			return err
		}
		for n, e := range page {
			if missing := e.Position - last - 1; missing > 0 {
				damages[n] = errors.Join(damages[n], fmt.Errorf("what stood before it, positions %d to %d, is missing from the file", last+1, e.Position-1))
			}
			last, more = e.Position, true
			if err := handle(e, damages[n]); err != nil {
				return err
			}
		}
	}
	acknowledged, err := readMarker(i.dir, i.instance)
	if err == nil && last < acknowledged && head < acknowledged {
		err = fmt.Errorf("%w: the log ends at position %d, and %d was acknowledged", ErrCorrupt, last, acknowledged)
	}
	return err
}

// Stream returns at most limit events of a stream from a revision on, as they stand in the file.
func (i *Inspector) Stream(ctx context.Context, stream string, from uint64, limit int) (events []Event, err error) {
	return i.ofStream(ctx, `WHERE s.name = ? AND e.revision >= ? ORDER BY e.revision LIMIT ?`, stream, int64(from), int64(limit))
}

// Last returns the last event of a stream, or none.
func (i *Inspector) Last(ctx context.Context, stream string) ([]Event, error) {
	return i.ofStream(ctx, `WHERE s.name = ? ORDER BY e.revision DESC LIMIT 1`, stream)
}

func (i *Inspector) ofStream(ctx context.Context, where string, args ...driver.Value) (events []Event, err error) {
	err = i.c.query(ctx, `SELECT e.position, e.revision, e.json, e.created, e.checksum, e.id, e.metadata, e.data, n.name, s.name
		FROM streams s CROSS JOIN events e ON e.stream = s.id CROSS JOIN names n ON n.id = e.type `+where, eventWidth,
		func(row []driver.Value) (bool, error) {
			e, err := scanEvent(row)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				return false, err
			}
			events = append(events, e)
			return true, nil
		}, args...)
	return events, err
}

// CreatedAt returns when an event was written.
func (e Event) CreatedAt() time.Time { return fromTicks(e.Created) }
