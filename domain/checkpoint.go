package domain

import "time"

// TransparencyStream holds the signed checkpoints of the transparency log (package transparency), and nothing else.
const TransparencyStream = string(CategoryTransparency) + "-" + transparencyID

const transparencyID = "log"

// CheckpointSigned says how many leaves the Merkle tree over the log has, and its root. Who has the note can prove later that
// nothing before it was changed, left out or put in. Checkpoints are leaves themselves.
type CheckpointSigned struct {
	Origin   string    `json:"origin"`   // the name of the log and of the keys that sign it
	Size     int64     `json:"size"`     // how many leaves the tree has
	Root     string    `json:"root"`     // its root hash, in base64
	Note     string    `json:"note"`     // the signed text, a C2SP tlog-checkpoint
	Keys     []string  `json:"keys"`     // verifier keys of the signatures, the one of the key in use first
	SignedAt time.Time `json:"signedAt"` // UTC
}

// EventType names the event in the log.
func (CheckpointSigned) EventType() string { return "CheckpointSigned" }

func registerTransparencyEvents(r *Registry) { register[CheckpointSigned](r, CategoryTransparency) }

// CheckpointInterval is the least time between two checkpoints of a month.
const CheckpointInterval = time.Minute

// Checkpoints is the state of the stream of checkpoints: its newest one, whose Size is 0 when there is none.
type Checkpoints struct {
	Last CheckpointSigned
}

// Fold returns the state after one more event. A checkpoint of nothing, which is never signed, does not take the place of one.
func (c Checkpoints) Fold(event Event) Checkpoints {
	if e, ok := event.(CheckpointSigned); ok && e.Size != 0 {
		c.Last = e
	}
	return c
}

// EndsMonth returns whether a month has ended since the last checkpoint, and just now: the next one is to hold all of it. Later
// than a while after its end it is better to sign what there is.
func (c Checkpoints) EndsMonth(at time.Time) bool {
	end := MonthOf(c.Last.SignedAt).End()
	return c.Last.Size > 0 && !at.Before(end) && at.Before(end.Add(CheckpointInterval))
}

// Due returns whether it is time for another checkpoint: a while after the last one, and as soon as a month has ended.
func (c Checkpoints) Due(at time.Time) bool {
	return c.Last.Size == 0 || !at.Before(c.Last.SignedAt.Add(CheckpointInterval)) || !at.Before(MonthOf(c.Last.SignedAt).End())
}
