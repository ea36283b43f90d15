package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// writeFileSurely leaves either the old file or the whole new one, whatever happens meanwhile. What is there and is no regular
// file, as a pipe, or is a link, as /dev/stdout, is written to: in its place the content would not be where it was asked for.
func writeFileSurely(name string, content []byte, mode fs.FileMode) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, content, mode)
	}
	return renameio.WriteFile(name, content, mode, renameio.WithTempDir(filepath.Dir(name)))
}
