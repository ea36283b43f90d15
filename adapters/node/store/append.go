package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// verdict is the answer to what a writer expects of a stream.
type verdict int

const (
	met verdict = iota
	unmet
	gone
)

// judge compares what a writer expects with the last revision a stream has ever had. A soft-deleted stream counts as
// missing for ExpectNoStream and as deleted for ExpectStreamExists; a stream with nothing but metadata exists.
func judge(expected Expected, last int64, softDeleted, hasMetadata bool) verdict {
	var ok bool
	switch {
	case expected == ExpectAny:
		ok = true
	case expected == ExpectNoStream:
		ok = last == -1 || softDeleted
	case expected == ExpectStreamExists:
		if softDeleted {
			return gone
		}
		ok = last >= 0 || hasMetadata
	default:
		ok = int64(expected) == last
	}
	if ok {
		return met
	}
	return unmet
}

// check refuses writes that no state of the store would accept; it returns their size.
func (w *Write) check(o *Options) (size int, err error) {
	if err := checkName("stream name", w.Stream); err != nil {
		return 0, err
	}
	switch {
	case w.Stream == "$all" || w.Stream == MetadataPrefix:
		return 0, fmt.Errorf("%w: %q cannot be written to", ErrInvalid, w.Stream)
	case o.isIndex(w.Stream):
		return 0, fmt.Errorf("%w: %q is kept by the store itself", ErrInvalid, w.Stream)
	case w.Expected < 0 && w.Expected != ExpectNoStream && w.Expected != ExpectAny && w.Expected != ExpectStreamExists:
		return 0, fmt.Errorf("%w: unknown expected revision %d", ErrInvalid, w.Expected)
	}
	counted := 0
	for i := range w.Events {
		e := &w.Events[i]
		if err := checkName("event type", e.Type); err != nil {
			return 0, err
		}
		size += len(e.Type) + len(e.Data) + len(e.Metadata)
		counted += len(e.Data)
	}
	if !o.LimitDataOnly {
		counted = size
	}
	if limit := o.MaxAppendBytes; counted > limit {
		return 0, &TooLargeError{Size: counted, Limit: limit}
	}
	return size, nil
}

func checkName(what, name string) error {
	if name == "" {
		return fmt.Errorf("%w: the %s is empty", ErrInvalid, what)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%w: the %s is not UTF-8", ErrInvalid, what)
	}
	return nil
}

// open returns the head of a stream that may be written to as expected, with the verdict on the expectation.
func (t *transaction) open(stream string, expected Expected) (*head, verdict, error) {
	h, err := t.heads.stream(stream)
	if err != nil {
		return nil, unmet, err
	}
	if original, ok := strings.CutPrefix(stream, MetadataPrefix); ok {
		described, err := t.heads.stream(original)
		if err != nil {
			return nil, unmet, err
		}
		if described.tombstoned {
			return nil, unmet, &StreamDeletedError{Stream: stream}
		}
	}
	if h.tombstoned {
		return nil, unmet, &StreamDeletedError{Stream: stream}
	}
	hasMetadata := false
	if expected == ExpectStreamExists && h.last < 0 {
		metadata, err := t.heads.stream(MetadataPrefix + stream)
		if err != nil {
			return nil, unmet, err
		}
		hasMetadata = metadata.last >= 0
	}
	v := judge(expected, h.last, h.softDeleted(), hasMetadata)
	if v == gone {
		return nil, v, &StreamDeletedError{Stream: stream}
	}
	return h, v, nil
}

// append writes the events of w, or recognizes that they were written before.
func (t *transaction) append(w *Write) (Result, error) {
	h, v, err := t.open(w.Stream, w.Expected)
	if err != nil {
		return Result{}, err
	}
	repeated, result, err := t.repeated(h, w, v)
	switch {
	case err != nil:
		return Result{}, err
	case repeated:
		return result, nil
	case v == unmet:
		return Result{}, &WrongExpectedError{Stream: w.Stream, Expected: w.Expected, Current: h.last}
	case len(w.Events) == 0:
		return Result{Revision: h.last}, nil
	}
	if h.softDeleted() {
		if err := t.revive(h); err != nil {
			return Result{}, err
		}
	}
	for i := range w.Events {
		if result, err = t.insert(h, uint64(h.last+1), &w.Events[i]); err != nil {
			return Result{}, err
		}
	}
	if isMetadataStream(h.name) {
		err = t.applyMetadata(h.name)
	}
	return result, err
}

// repeated finds out whether a write was done before. With an exact expectation behind which the stream has moved on, its
// events must follow there, however long ago; without one they are looked for by the id of the first among recent events.
func (t *transaction) repeated(h *head, w *Write, v verdict) (bool, Result, error) {
	if len(w.Events) == 0 || h.last < 0 {
		return false, Result{}, nil
	}
	if w.Expected >= ExpectNoStream {
		if int64(w.Expected) >= h.last {
			return false, Result{}, nil
		}
		return t.matches(h, int64(w.Expected)+1, w.Events)
	}
	if v != met {
		return false, Result{}, nil
	}
	revision, found := t.heads.recent.revision(eventKey{h.id, w.Events[0].ID})
	if !found {
		return false, Result{}, nil
	}
	if first, _, err := t.matches(h, revision, w.Events[:1]); !first || err != nil {
		return false, Result{}, err
	}
	repeated, result, err := t.matches(h, revision, w.Events)
	if err == nil && !repeated {
		err = &WrongExpectedError{Stream: w.Stream, Expected: w.Expected, Current: h.last}
	}
	return repeated, result, err
}

// matches returns whether exactly these events are in the stream from a revision on, and where they end.
func (t *transaction) matches(h *head, from int64, events []NewEvent) (bool, Result, error) {
	if from+int64(len(events))-1 > h.last {
		return false, Result{}, nil
	}
	n := 0
	var result Result
	err := t.c.query(context.Background(), `SELECT revision, position, id FROM events WHERE stream = ? AND revision >= ? ORDER BY revision LIMIT ?`, 3,
		func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			result = Result{Revision: columns.integer(), Position: uint64(columns.integer())}
			id := columns.blob()
			if columns.err != nil || string(id) != string(events[n].ID[:]) {
				return false, columns.err
			}
			n++
			return true, nil
		}, h.id, from, int64(len(events)))
	return n == len(events), result, err
}

// insert writes one event.
func (t *transaction) insert(h *head, revision uint64, e *NewEvent) (Result, error) {
	if err := t.heads.materialize(h); err != nil {
		return Result{}, err
	}
	typeNumber, err := t.heads.number(e.Type)
	if err != nil {
		return Result{}, err
	}
	if t.position >= math.MaxInt64-1 {
		return Result{}, &storageError{doing: "append", err: fmt.Errorf("%w: positions are used up", ErrFull)}
	}
	t.position++
	event := Event{
		ID: e.ID, Stream: h.name, Revision: revision, Position: t.position, Type: e.Type, ContentType: ContentTypeBinary,
		Created: t.created, Data: e.Data, Metadata: e.Metadata,
	}
	isJSON := int64(0)
	if e.ContentType == ContentTypeJSON {
		event.ContentType, isJSON = ContentTypeJSON, 1
	}
	if event.Data == nil {
		event.Data = []byte{}
	}
	if event.Metadata == nil {
		event.Metadata = []byte{}
	}
	err = t.c.exec(`INSERT INTO events (position, stream, revision, type, category, json, created, checksum, id, metadata, data) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
		int64(event.Position), h.id, int64(revision), typeNumber, h.category, isJSON, event.Created, checksum(&event),
		event.ID[:], event.Metadata, event.Data)
	if err != nil {
		return Result{}, err
	}
	if revision != TombstoneRevision {
		h.last = int64(revision)
		t.heads.recent.add(eventKey{h.id, e.ID}, h.last)
	}
	t.fresh = append(t.fresh, event)
	return Result{Revision: int64(revision), Position: event.Position}, nil
}

// applyMetadata gives the last event of a metadata stream its effect. Metadata written for a soft-deleted stream brings the
// stream back, but not its deleted events.
func (t *transaction) applyMetadata(metadataStream string) error {
	original := strings.TrimPrefix(metadataStream, MetadataPrefix)
	if isMetadataStream(original) {
		return nil
	}
	h, err := t.heads.stream(original)
	if err != nil {
		return err
	}
	r := parseRetention(&t.fresh[len(t.fresh)-1])
	if h.softDeleted() && !r.softDeleted() {
		r.truncateBefore = max(r.truncateBefore, uint64(h.last+1))
	}
	return t.heads.retain(h, r)
}

// revive replaces the mark of a soft delete by the number of the stream's next event and keeps the rest of the metadata.
func (t *transaction) revive(h *head) error {
	metadata, err := t.heads.stream(MetadataPrefix + h.name)
	if err != nil {
		return err
	}
	var current []byte
	err = t.c.query(context.Background(), `SELECT data FROM events WHERE stream = ? AND revision = ?`, 1, func(row []driver.Value) (bool, error) {
		columns := columns{row: row}
		current = columns.blob()
		return false, columns.err
	}, metadata.id, metadata.last)
	if err != nil {
		return err
	}
	_, err = t.writeMetadata(h, withTruncateBefore(current, uint64(h.last+1)))
	return err
}

// writeMetadata appends to the metadata of a stream and applies it.
func (t *transaction) writeMetadata(h *head, data []byte) (Result, error) {
	metadata, err := t.heads.stream(MetadataPrefix + h.name)
	if err != nil {
		return Result{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Result{}, fmt.Errorf("make event id: %w", err)
	}
	result, err := t.insert(metadata, uint64(metadata.last+1), &NewEvent{ID: id, Type: MetadataType, ContentType: ContentTypeJSON, Data: data})
	if err != nil {
		return Result{}, err
	}
	return result, t.heads.retain(h, parseRetention(&t.fresh[len(t.fresh)-1]))
}
