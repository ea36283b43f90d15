package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// markerFile is the name of the head marker inside the store's directory.
const markerFile = "head"

const markerSize = 16 + 8 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// marker keeps the last acknowledged position in a file of its own. SQL recovery drops a write-ahead log that is cut off or
// unreadable without a word; the marker is how its loss is noticed. It is written after a commit is durable and before the
// commit is acknowledged, and not synced: it may be behind the log after a power cut, never ahead of it.
type marker struct {
	file *os.File
	buf  [markerSize]byte
}

func openMarker(dir string, instance uuid.UUID) (*marker, error) {
	file, err := os.OpenFile(filepath.Join(dir, markerFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open head marker: %w", err)
	}
	m := &marker{file: file}
	copy(m.buf[:16], instance[:])
	return m, nil
}

// write records a position. It fits into one sector, so that a crash leaves the old or the new one.
func (m *marker) write(position uint64) error {
	binary.BigEndian.PutUint64(m.buf[16:24], position)
	binary.BigEndian.PutUint32(m.buf[24:], crc32.Checksum(m.buf[:24], castagnoli))
	if _, err := m.file.WriteAt(m.buf[:], 0); err != nil {
		return fmt.Errorf("write head marker: %w", err)
	}
	return nil
}

func (m *marker) close() error { return m.file.Close() }

// readMarker returns the position that a directory's log must at least have; 0 without a marker, as in a restored backup.
func readMarker(dir string, instance uuid.UUID) (uint64, error) {
	path := filepath.Join(dir, markerFile)
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open head marker: %w", err)
	}
	defer file.Close()
	buf, err := io.ReadAll(io.LimitReader(file, markerSize+1))
	switch {
	case err != nil:
		return 0, fmt.Errorf("read head marker: %w", err)
	case len(buf) == 0:
		return 0, nil
	case len(buf) != markerSize || binary.BigEndian.Uint32(buf[24:]) != crc32.Checksum(buf[:24], castagnoli):
		return 0, fmt.Errorf("%w: the head marker %s is unreadable; when `liveness store verify` finds the log itself whole, remove that file", ErrCorrupt, path)
	case uuid.UUID(buf[:16]) != instance:
		return 0, fmt.Errorf("%w: the head marker %s belongs to another store; restore a backup into an empty directory, or, when one was restored here on purpose, remove that file", ErrCorrupt, path)
	}
	return binary.BigEndian.Uint64(buf[16:24]), nil
}
