package store

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// spareBytes is by how much the file of the write-ahead log is made longer at a time: over a hundred small commits, or the
// milliseconds that they take together.
const spareBytes = 1 << 20

var zeros [spareBytes]byte

// spare keeps the file of the write-ahead log longer than the log in it. A commit that makes the file longer waits for the file
// system's own journal as well as for its pages, nearly twice as long. After a checkpoint the log begins anew in the same file,
// so that nothing is to be done once it is as long as it gets. Zeros behind the log end it for whoever reads it, like the rest
// of an older one: they are no frame.
type spare struct {
	file *os.File
	size int64 // of the file, when it was looked at last
}

// openSpare opens the log's file, which the database has made.
func openSpare(dir string) (*spare, error) {
	file, err := os.OpenFile(filepath.Join(dir, logFile), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	return &spare{file: file}, nil
}

// lengthen adds to the file if it has grown since the last time. Only between transactions, by who writes them, is its end
// certain to stay where it is.
func (s *spare) lengthen() error {
	size, err := s.file.Seek(0, io.SeekEnd)
	grown := size > s.size
	s.size = size
	if err != nil || !grown {
		return err
	}
	n, err := s.file.Write(zeros[:])
	s.size += int64(n)
	return err
}

func (s *spare) close() error { return s.file.Close() }
