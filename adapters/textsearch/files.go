package textsearch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// gzipMagic is how what gzip has packed begins.
var gzipMagic = []byte{0x1f, 0x8b}

// Files searches a file, or a directory with all that is in it, and returns how many files that were. What gzip has packed is
// unpacked; what other programs have packed has to be unpacked before. Files that vanish meanwhile are passed over.
func (s *Search) Files(root string, skip func(path string) bool) (found []Found, files int, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != root:
			return nil
		case err != nil:
			return err
		case skip != nil && skip(path) && entry.IsDir():
			return filepath.SkipDir
		case skip != nil && skip(path) || !entry.Type().IsRegular():
			return nil
		}
		here, err := s.file(path)
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil
		}
		found, files = append(found, here...), files+1
		return err
	})
	if err != nil {
		return found, files, fmt.Errorf("search files: %w", err)
	}
	return found, files, nil
}

func (s *Search) file(path string) ([]Found, error) {
	found := s.Bytes([]byte(path), "the name of "+path)
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var content io.Reader = bufio.NewReader(file)
	if begin, err := content.(*bufio.Reader).Peek(len(gzipMagic)); err == nil && bytes.Equal(begin, gzipMagic) {
		if content, err = gzip.NewReader(content); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", path, err)
		}
	}
	inside, err := s.Stream(content, path)
	return append(found, inside...), err
}
