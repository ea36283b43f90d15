package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// checksum covers everything a reader is shown of an event. The database does not protect the contents of its pages.
func checksum(e *Event) int64 {
	var fixed [16 + 8*3 + 4*3 + 1]byte
	copy(fixed[:16], e.ID[:])
	binary.BigEndian.PutUint64(fixed[16:], e.Position)
	binary.BigEndian.PutUint64(fixed[24:], e.Revision)
	binary.BigEndian.PutUint64(fixed[32:], uint64(e.Created))
	binary.BigEndian.PutUint32(fixed[40:], uint32(len(e.Stream)))
	binary.BigEndian.PutUint32(fixed[44:], uint32(len(e.Type)))
	binary.BigEndian.PutUint32(fixed[48:], uint32(len(e.Metadata)))
	if e.ContentType == ContentTypeJSON {
		fixed[52] = 1
	}
	sum := crc32.Update(0, castagnoli, fixed[:])
	sum = crc32.Update(sum, castagnoli, []byte(e.Stream))
	sum = crc32.Update(sum, castagnoli, []byte(e.Type))
	sum = crc32.Update(sum, castagnoli, e.Metadata)
	return int64(crc32.Update(sum, castagnoli, e.Data))
}

// verified returns an error when an event is not what was written.
func verified(e *Event, stored int64) error {
	if checksum(e) != stored {
		return &storageError{doing: "read", err: fmt.Errorf("%w: the event at position %d does not match its checksum", ErrCorrupt, e.Position)}
	}
	return nil
}
