package auditing

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the Merkle tree over the leaves that have come by. It keeps its right edge alone, which is all that growing it and
// its root need.
type tree struct {
	size int64
	edge [63]node // the newest whole node of each level
}

type node struct {
	index int64
	hash  tlog.Hash
}

// add appends a leaf.
func (t *tree) add(leaf tlog.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(t.size, leaf, t)
	if err != nil {
		return fmt.Errorf("add leaf %d: %w", t.size, err)
	}
	for level, hash := range hashes {
		t.edge[level] = node{t.size >> level, hash}
	}
	t.size++
	return nil
}

// root returns the hash of the whole tree.
func (t *tree) root() (tlog.Hash, error) { return tlog.TreeHash(t.size, t) }

// ReadHashes implements tlog.HashReader for the nodes of the right edge.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if t.edge[level].index != n {
			return nil, fmt.Errorf("node %d of level %d is not at the edge of a tree of %d leaves", n, level, t.size)
		}
		hashes[i] = t.edge[level].hash
	}
	return hashes, nil
}
