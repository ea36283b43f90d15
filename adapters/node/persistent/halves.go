package persistent

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// toHalves splits an id into the two signed big-endian numbers of the protocol's structured form.
func toHalves(id uuid.UUID) (most, least int64) {
	return int64(binary.BigEndian.Uint64(id[:8])), int64(binary.BigEndian.Uint64(id[8:]))
}

// fromHalves is the inverse of toHalves.
func fromHalves(most, least int64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(most))
	binary.BigEndian.PutUint64(id[8:], uint64(least))
	return id
}
