package main

import (
	"os"
	"path/filepath"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// eventsDir returns where the event store is in a data directory.
func eventsDir(data string) string { return partOf(data, "events", store.File) }

// partOf returns the folder of a part of the data. A directory that holds the part's file, or bears the part's name and has no such
// folder, is the part's own.
func partOf(data, name, file string) string {
	within := filepath.Join(data, name)
	switch {
	case isFile(filepath.Join(data, file)):
		return data
	case filepath.Base(data) == name && !isDir(within):
		return data
	}
	return within
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
