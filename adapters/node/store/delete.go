package store

import (
	"fmt"

	"github.com/google/uuid"
)

// delete soft-deletes a stream: a metadata event hides what it holds.
func (t *transaction) delete(stream string, expected Expected) (Result, error) {
	h, v, err := t.open(stream, expected)
	if err != nil {
		return Result{}, err
	}
	if v == unmet {
		return Result{}, &WrongExpectedError{Stream: stream, Expected: expected, Current: h.last}
	}
	return t.writeMetadata(h, softDeleteMetadata)
}

// tombstone ends a stream with an event behind every revision it could have.
func (t *transaction) tombstone(stream string, expected Expected) (Result, error) {
	h, v, err := t.open(stream, expected)
	if err != nil {
		return Result{}, err
	}
	if v == unmet {
		return Result{}, &WrongExpectedError{Stream: stream, Expected: expected, Current: h.last}
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Result{}, fmt.Errorf("make event id: %w", err)
	}
	result, err := t.insert(h, TombstoneRevision, &NewEvent{ID: id, Type: TombstoneType, ContentType: ContentTypeBinary})
	if err != nil {
		return Result{}, err
	}
	h.tombstoned = true
	return result, t.c.exec(`UPDATE streams SET tombstoned = 1 WHERE id = ?`, h.id)
}

// checkDeletable refuses deletes that no state of the store would accept.
func checkDeletable(stream string, expected Expected) error {
	if isMetadataStream(stream) {
		return fmt.Errorf("%w: %q holds metadata; delete the stream it describes instead", ErrInvalid, stream)
	}
	_, err := (&Write{Stream: stream, Expected: expected}).check(&Options{})
	return err
}
