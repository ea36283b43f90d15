package auditing

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Held is a state of the tree that somebody holds outside the log: a checkpoint that was kept, or that of an archive.
type Held struct {
	From string   // where it is from, for the report
	Note string   // as it was signed
	Keys []string // verifier keys, one of which must have signed it; none: one of those that have signed the log's own
	transparency.Checkpoint
}

// OpenHeld returns the checkpoint of a signed note that somebody kept. When keys are given, one of them must have signed it.
func OpenHeld(from, note string, keys ...string) (Held, error) {
	held := Held{From: from, Note: note, Keys: keys}
	var err error
	if len(keys) > 0 {
		held.Checkpoint, _, err = transparency.OpenCheckpoint(note, keys...)
	} else {
		held.Checkpoint, err = transparency.ParseCheckpoint(note)
	}
	return held, err
}

// Transparency is what the audit found of the tree over the log.
type Transparency struct {
	Leaves      int64    `json:"leaves"`
	Root        string   `json:"root"`
	Checkpoints int64    `json:"checkpoints"`  // in the log
	Proved      int64    `json:"proved"`       // leaves that the newest checkpoint that holds covers
	Keys        []string `json:"keys"`         // verifier keys that checkpoints of the log are signed with
	Held        []string `json:"held"`         // what was given to compare with, and holds
	Compared    int64    `json:"storedLeaves"` // leaves that the stored tree agrees with
	Broken      int64    `json:"brokenRoots"`  // checkpoints whose root is not that of the log
}

// checkpointsAudit compares the tree, as it grows, with what was signed of it. Checkpoints are read ahead of the replay: one
// says a size that the tree has when the replay comes by there, and stands behind it.
type checkpointsAudit struct {
	log    Log
	tree   tree
	result Transparency
	find   func(place domain.Recorded, format string, args ...any)

	page     []domain.Recorded // checkpoints that were read and are not yet met
	from     uint64            // revision of the next to read
	end      bool              // there are none to read
	promised int64             // size of the newest checkpoint taken
	held     []Held            // by size, those that the tree has not come to
	kept     []Held            // all of them

	last       domain.Recorded // the newest leaf
	provedLast domain.Recorded // the last leaf that the newest checkpoint that holds covers
}

func newCheckpointsAudit(log Log, held []Held, find func(domain.Recorded, string, ...any)) *checkpointsAudit {
	held = slices.Clone(held)
	slices.SortStableFunc(held, func(x, y Held) int { return cmp.Compare(x.N, y.N) })
	return &checkpointsAudit{log: log, held: held, kept: held, find: find, result: Transparency{Keys: []string{}, Held: []string{}}}
}

// add takes the next leaf.
func (c *checkpointsAudit) add(ctx context.Context, place domain.Recorded, leaf tlog.Hash) error {
	if err := c.compare(ctx); err != nil {
		return err
	}
	c.last = place
	return c.tree.add(leaf)
}

// compare compares the tree with whatever says a root of its size.
func (c *checkpointsAudit) compare(ctx context.Context) error {
	for {
		next, ok, err := c.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		e, _ := next.Event.(domain.CheckpointSigned)
		if e.Size > c.tree.size {
			break
		}
		c.page = c.page[1:]
		if e.Size < c.tree.size {
			c.find(next, "the checkpoint is of %d leaves, and one before it is of %d", e.Size, c.promised)
			continue
		}
		c.promised = e.Size
		if err := c.root(next, e.Root, "this checkpoint"); err != nil {
			return err
		}
	}
	for len(c.held) > 0 && c.held[0].N <= c.tree.size {
		held := c.held[0]
		c.held = c.held[1:]
		before := c.result.Broken
		if err := c.root(c.last, held.Hash.String(), held.From); err != nil {
			return err
		}
		if c.result.Broken == before {
			c.result.Held = append(c.result.Held, held.From)
		}
	}
	return nil
}

// root compares the root of the tree with one that was signed. The first that is another one tells between which leaves the log was changed;
// all behind it differ for the same reason.
func (c *checkpointsAudit) root(place domain.Recorded, signed, by string) error {
	root, err := c.tree.root()
	if err != nil {
		return err
	}
	if root.String() == signed {
		c.result.Proved, c.provedLast = c.tree.size, c.last
		return nil
	}
	if c.result.Broken++; c.result.Broken > 1 {
		return nil
	}
	c.find(place, "the log is not the one that was signed: %s; %s says root %s of %d leaves, and the log has %s",
		c.changed(), by, signed, c.tree.size, root)
	return nil
}

// changed says between which leaves the log is another than the one of which a root of its tree was signed.
func (c *checkpointsAudit) changed() string {
	since := "the beginning of the log"
	if c.result.Proved > 0 {
		since = fmt.Sprintf("position %d (revision %d of %s)", c.provedLast.Position, c.provedLast.Revision, c.provedLast.Stream)
	}
	switch c.tree.size - c.result.Proved {
	case 0:
		return fmt.Sprintf("two histories were signed, for another checkpoint of %d leaves says what the log holds", c.tree.size)
	case 1:
		return fmt.Sprintf("an event was changed, left out or put in behind %s, as leaf %d", since, c.result.Proved)
	}
	return fmt.Sprintf("an event was changed, left out or put in behind %s, among the leaves %d to %d", since, c.result.Proved, c.tree.size-1)
}

// next returns the next checkpoint of the log's stream.
func (c *checkpointsAudit) next(ctx context.Context) (domain.Recorded, bool, error) {
	for len(c.page) == 0 && !c.end {
		page, err := c.log.Read(ctx, domain.TransparencyStream, c.from, pageSize)
		if err != nil {
			return domain.Recorded{}, false, fmt.Errorf("read the checkpoints: %w", err)
		}
		if c.end = len(page) < pageSize; len(page) > 0 {
			c.from = page[len(page)-1].Revision + 1
		}
		for _, r := range page {
			if _, ok := r.Event.(domain.CheckpointSigned); ok {
				c.page = append(c.page, r)
			}
		}
	}
	if len(c.page) == 0 {
		return domain.Recorded{}, false, nil
	}
	return c.page[0], true, nil
}

// meet takes a checkpoint where it stands in the log.
func (c *checkpointsAudit) meet(r domain.Recorded, e domain.CheckpointSigned) {
	c.result.Checkpoints++
	if _, err := transparency.OfEvent(e); err != nil {
		c.find(r, "the checkpoint is not what was signed: %v", err)
	}
	if e.Size > c.tree.size {
		c.find(r, "the checkpoint is of %d leaves, and %d stand before it", e.Size, c.tree.size)
	}
	for _, key := range e.Keys {
		if !slices.Contains(c.result.Keys, key) {
			c.result.Keys = append(c.result.Keys, key)
		}
	}
}

// finish compares what says a root of the whole log, and looks for what says more leaves than there are.
func (c *checkpointsAudit) finish(ctx context.Context) (Transparency, error) {
	if err := c.compare(ctx); err != nil {
		return c.result, err
	}
	for _, held := range c.held {
		c.find(c.last, "the log was cut off or put back to an older state: %s is of %d leaves, and there are %d; this is the last of them",
			held.From, held.N, c.tree.size)
		c.result.Broken++
	}
	c.signatures()
	root, err := c.tree.root()
	if err != nil {
		return c.result, err
	}
	c.result.Leaves, c.result.Root = c.tree.size, root.String()
	return c.result, nil
}

// signatures looks whether what was kept was signed by who signs this log. Without that anybody could have written it.
func (c *checkpointsAudit) signatures() {
	for _, kept := range c.kept {
		keys := kept.Keys
		if len(keys) == 0 {
			keys = c.result.Keys
		}
		if _, _, err := transparency.OpenCheckpoint(kept.Note, keys...); err != nil {
			c.result.Held = slices.DeleteFunc(c.result.Held, func(from string) bool { return from == kept.From })
			c.find(domain.Recorded{}, "%s proves nothing, for none of the %d keys that have signed this log have signed it: it was changed, or is "+
				"of another log (%v)", kept.From, len(c.result.Keys), err)
		}
	}
}

// StoredTree is the tree as the product keeps it beside the log.
//
// Leaves returns at most limit leaves from an index on.
type StoredTree interface {
	Leaves(ctx context.Context, from int64, limit int) ([]StoredLeaf, error)
}

// StoredLeaf is what is kept of an event.
type StoredLeaf struct {
	Index    int64
	Hash     tlog.Hash
	Position uint64
	Stream   string
	Revision uint64
}

// storedTreeAudit compares leaf by leaf, by which it is known which event was changed.
type storedTreeAudit struct {
	stored   StoredTree
	page     []StoredLeaf
	from     int64 // index of the next to read
	end      bool
	agreed   int64
	findings int
	find     func(place domain.Recorded, format string, args ...any)
}

// storedPage is how many leaves are read at once.
const storedPage = 2048

func (s *storedTreeAudit) next(ctx context.Context) (*StoredLeaf, error) {
	if len(s.page) == 0 && !s.end {
		page, err := s.stored.Leaves(ctx, s.from, storedPage)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // what is kept of the tree is not fit to be read, or not there
			s.end = true
			s.found(domain.Recorded{}, "the stored tree cannot be compared from leaf %d on: %v", s.from, err)
			return nil, nil
		}
		if s.page, s.end = page, len(page) < storedPage; len(page) > 0 {
			s.from = page[len(page)-1].Index + 1
		}
	}
	if len(s.page) == 0 {
		return nil, nil
	}
	return &s.page[0], nil
}

// add takes the next leaf of the log.
func (s *storedTreeAudit) add(ctx context.Context, place domain.Recorded, hash tlog.Hash) error {
	for {
		stored, err := s.next(ctx)
		if err != nil || stored == nil { // the stored tree may be behind the log
			return err
		}
		if stored.Position > place.Position {
			s.found(place, "the event was put in: the stored tree knows nothing of it")
			return nil
		}
		s.page = s.page[1:]
		switch {
		case stored.Position < place.Position:
			s.missing(*stored)
			continue
		case stored.Hash != hash && (stored.Stream != place.Stream || stored.Revision != place.Revision):
			s.found(place, "another event stood here when the tree was made: revision %d of %s", stored.Revision, stored.Stream)
		case stored.Hash != hash:
			s.found(place, "the event, or the stored tree, was changed: the tree holds the hash %s of it", stored.Hash)
		default:
			s.agreed++
		}
		return nil
	}
}

func (s *storedTreeAudit) found(place domain.Recorded, format string, args ...any) {
	s.findings++
	s.find(place, format, args...)
}

func (s *storedTreeAudit) missing(leaf StoredLeaf) {
	s.found(domain.Recorded{Position: leaf.Position, Stream: leaf.Stream, Revision: leaf.Revision},
		"the event is missing from the log: the stored tree holds its hash %s", leaf.Hash)
}

// finish reports what the stored tree holds behind the last event of the log that was read, unless the log has grown meanwhile.
func (s *storedTreeAudit) finish(ctx context.Context, log Log, last uint64) error {
	head := last
	for {
		stored, err := s.next(ctx)
		if err != nil || stored == nil {
			return err
		}
		s.page = s.page[1:]
		if stored.Position <= last {
			s.missing(*stored)
			continue
		}
		if stored.Position > head { // asked behind the leaf, so that the log has what it has
			if head, err = log.Head(ctx); err != nil {
				return err
			}
		}
		if stored.Position > head && s.findings < mostMissing {
			s.found(domain.Recorded{Position: stored.Position, Stream: stored.Stream, Revision: stored.Revision},
				"the log ends before this event, whose hash %s the stored tree holds: it was cut off or put back to an older state", stored.Hash)
		}
	}
}

// mostMissing is how many of the events are named that are missing at the end of a log.
const mostMissing = 1000
