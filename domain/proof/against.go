package proof

import (
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// history is what another file says of the same log: its newest tree, and older ones that this continues.
type history struct {
	newest tlog.Tree
	older  []tlog.Tree
	madeAt time.Time // zero of a checkpoint alone: before everything
}

// trees returns all of the history's trees.
func (h history) trees() []tlog.Tree { return slices.Insert(slices.Clone(h.older), 0, h.newest) }

// holds returns whether the tree of a size is one of the history's, and which root it has there.
func (h history) holds(size int64) (tlog.Hash, bool) {
	for _, tree := range h.trees() {
		if tree.N == size {
			return tree.Hash, true
		}
	}
	return tlog.Hash{}, false
}

// against compares the file with another one of the same log, or with a checkpoint: the larger tree has to be a continuation
// of the smaller one, and what was made later has to be the larger.
func (c *check) against(content []byte) error {
	if c.tree.N < 0 {
		return nil
	}
	theirs, err := c.historyOf(content)
	if err != nil {
		return err
	}
	ours := history{newest: c.tree, older: c.earlier, madeAt: c.file.Header.MadeAt}
	line := c.file.lines[kindCheckpoint]
	for _, tree := range ours.trees() {
		if root, both := theirs.holds(tree.N); both && root != tree.Hash {
			c.find(line, "the tree of %d leaves has the root %s here and %s there: the log was forked", tree.N, tree.Hash, root)
			return nil
		}
	}
	larger, smaller := ours, theirs
	if ours.newest.N < theirs.newest.N {
		larger, smaller = theirs, ours
	}
	if smaller.newest.N < larger.newest.N && smaller.madeAt.After(larger.madeAt) {
		c.find(line, "the log had %d leaves before and has %d in what was made later: it was put back to an older copy",
			larger.newest.N, smaller.newest.N)
	}
	if _, linked := larger.holds(smaller.newest.N); !linked {
		c.find(line, "nothing shows that the tree of %d leaves continues that of %d: have a proof made with `liveness audit export --since`",
			larger.newest.N, smaller.newest.N)
	}
	return nil
}

// historyOf reads a checkpoint or a proof.
func (c *check) historyOf(content []byte) (history, error) {
	if checkpoint, _, err := transparency.OpenCheckpoint(string(content), c.keys...); err == nil {
		return history{newest: checkpoint.Tree}, nil
	}
	file, _, err := read(content)
	if err != nil {
		return history{}, domain.Invalid("against", "This is neither a checkpoint that one of the known keys has signed nor a proof of a month.")
	}
	other := check{file: file, keys: c.keys}
	other.checkpoints()
	if other.tree.N < 0 {
		return history{}, domain.Invalid("against", "None of the known keys has signed its checkpoint.")
	}
	return history{newest: other.tree, older: other.earlier, madeAt: file.Header.MadeAt}, nil
}

// CheckpointIn returns the checkpoint of a proof; of anything else the text itself, which may be one.
func CheckpointIn(content []byte) string {
	if file, _, err := read(content); err == nil {
		return file.Checkpoint
	}
	return string(content)
}
