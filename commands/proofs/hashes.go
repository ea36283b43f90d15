package proofs

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// wantedHashes notes which hashes of a tree proofs ask for. What it answers is worth nothing.
type wantedHashes map[int64]bool

// ReadHashes implements tlog.HashReader.
func (w wantedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	for _, index := range indexes {
		w[index] = true
	}
	return make([]tlog.Hash, len(indexes)), nil
}

// read reads what was asked for.
func (w wantedHashes) read(from tlog.HashReader) (knownHashes, error) {
	indexes := slices.Sorted(maps.Keys(w))
	hashes, err := from.ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	known := make(knownHashes, len(indexes))
	for i, index := range indexes {
		known[index] = hashes[i]
	}
	return known, nil
}

// knownHashes answers with hashes that were read before.
type knownHashes map[int64]tlog.Hash

// ReadHashes implements tlog.HashReader.
func (k knownHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, known := k[index]
		if !known {
			return nil, fmt.Errorf("the hash %d of the tree was not read", index)
		}
		hashes[i] = hash
	}
	return hashes, nil
}
