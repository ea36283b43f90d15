package persistent

import "time"

// minSkipInterval is the least time between two checkpoints that only record events which the filter passed over.
const minSkipInterval = time.Second

// Mark is a point up to which everything is settled, to be made durable.
type Mark struct {
	Point    Point
	sequence uint64
	skipped  int64
}

// mark returns how far everything is settled.
func (g *Group) mark() Mark {
	if first := g.open.first; first != nil {
		return Mark{Point: first.before, sequence: first.sequence - 1, skipped: g.skipped}
	}
	return Mark{Point: g.read, sequence: g.sequence, skipped: g.skipped}
}

// Checkpoint returns the mark to be written and whether that is due now. Checkpointed confirms that it is durable.
func (g *Group) Checkpoint(now time.Time) (Mark, bool) {
	due, ready := g.checkpointDue()
	return g.mark(), ready && !now.Before(due)
}

// Unwritten returns the mark to be written when the group stops, and whether it is ahead of the one written last.
func (g *Group) Unwritten() (Mark, bool) {
	mark := g.mark()
	return mark, mark.Point > g.checkpoint
}

// Checkpointed says that a mark is durable.
func (g *Group) Checkpointed(mark Mark, now time.Time) {
	g.checkpoint, g.checkpointSequence, g.checkpointTime = mark.Point, mark.sequence, now
	g.skipped -= mark.skipped
}

// checkpointDue returns the time at which a checkpoint is to be written if nothing else happens; ready is false while too
// little is done for one.
func (g *Group) checkpointDue() (due time.Time, ready bool) {
	mark := g.mark()
	if mark.Point <= g.checkpoint {
		return time.Time{}, false
	}
	count := int64(mark.sequence - g.checkpointSequence)
	switch {
	case count > 0 && count >= int64(g.settings.MaxCheckpointCount):
		return time.Time{}, true
	case count > 0 && count >= int64(g.settings.MinCheckpointCount):
		return g.checkpointTime.Add(g.settings.checkpointAfter()), true
	case g.skipped >= g.skipInterval:
		return g.checkpointTime.Add(max(g.settings.checkpointAfter(), minSkipInterval)), true
	}
	return time.Time{}, false
}
