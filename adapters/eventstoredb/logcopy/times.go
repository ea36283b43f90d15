package logcopy

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/domain"
)

// times notes in the target when events were recorded whose metadata names another hour: those that were decided right
// before an hour's end. Metered hours follow from the time of recording.
type times struct {
	from, to *eventstoredb.Client
	noted    *eventstoredb.Copied
	pending  []eventstoredb.RecordedTime
	count    int64 // such events
	added    int64 // of those, noted by this run
}

// noteSize is how many times one event holds.
const noteSize = 500

func timesOf(from, to *eventstoredb.Client, noted *eventstoredb.Copied) *times {
	return &times{from: from, to: to, noted: noted}
}

// differs returns whether an event was decided in another hour than it was recorded in.
func (t *times) differs(source *esdb.RecordedEvent) bool {
	var meta domain.Metadata
	if json.Unmarshal(source.UserMetadata, &meta) != nil || meta.OccurredAt.IsZero() {
		return false
	}
	return !domain.UsageHour(t.from.RecordedAt(source)).Equal(domain.UsageHour(meta.OccurredAt))
}

// observe notes the time of an event where that is needed.
func (t *times) observe(ctx context.Context, source, target *esdb.RecordedEvent) error {
	if !t.differs(source) {
		return nil
	}
	t.count++
	if t.noted.Notes(target.StreamID, target.EventNumber) {
		return nil
	}
	t.added++
	t.pending = append(t.pending, eventstoredb.RecordedTime{Stream: target.StreamID, Revision: target.EventNumber, RecordedAt: t.from.RecordedAt(source)})
	if len(t.pending) < noteSize {
		return nil
	}
	return t.flush(ctx)
}

func (t *times) flush(ctx context.Context) error {
	if len(t.pending) == 0 {
		return nil
	}
	_, err := note(ctx, t.to, eventstoredb.RecordedTimesType, eventstoredb.RecordedTimes{Times: t.pending})
	t.pending = t.pending[:0]
	return err
}

// compare returns a DifferenceError where the target says another hour of recording.
func (t *times) compare(source, target *esdb.RecordedEvent) error {
	if t.differs(source) {
		t.count++
	}
	if here, there := t.from.RecordedAt(source), t.to.RecordedAt(target); !domain.UsageHour(here).Equal(domain.UsageHour(there)) {
		return &DifferenceError{Position: source.Position.Commit, What: fmt.Sprintf("%s was recorded at %v there", name(source), there)}
	}
	return nil
}
