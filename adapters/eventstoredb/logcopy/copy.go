package logcopy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
)

// Config says what is copied.
type Config struct {
	From, To *eventstoredb.Client
	// Copies says which events are copied; others are counted. The stores' own never are.
	Copies func(stream, eventType string) bool
	// CopiesStream says which streams are the copied events' own: their metadata is copied too, and where the source goes on
	// in one, the target may hold nothing else there.
	CopiesStream func(stream string) bool
	// Forgets says which streams may have lost their first events, so that what is left is numbered from 0 in the target.
	Forgets func(stream string) bool
	// Groups are the persistent subscriptions to $all that begin in the target where those of the source stand.
	Groups []Group
	// Progress, if set, is told now and then how far the copy has come.
	Progress func(Progress)
}

// Progress is how far a copy has come.
type Progress struct {
	Verifying bool   // the target is compared; else it is filled
	Events    int64  // compared or copied so far
	Position  uint64 // in the source
	Head      uint64 // of the source when the copy began
}

// Report is what a copy came to.
type Report struct {
	Events   int64         `json:"events"`   // copied events that both logs hold
	Appended int64         `json:"appended"` // of those, by this run
	Foreign  int64         `json:"foreign"`  // other programs' events in the source, which are not copied
	Metadata int64         `json:"metadata"` // streams whose metadata both logs hold
	Times    int64         `json:"times"`    // events recorded in another hour than they were decided in
	Position uint64        `json:"position"` // of the last copied event in the target
	Groups   []GroupReport `json:"groups"`
}

// DifferenceError says where the target does not hold what the source does.
type DifferenceError struct {
	Position uint64 // in the source; 0 when the source ends before
	What     string
}

// Error implements error.
func (e *DifferenceError) Error() string {
	if e.Position == 0 {
		return "the target differs from the source: " + e.What
	}
	return fmt.Sprintf("the target differs from the source at position %d: %s", e.Position, e.What)
}

type copying struct {
	Config
	head   uint64
	report Report
	// offsets are the first revisions of streams whose beginning the source has forgotten.
	offsets map[string]uint64
}

// Run fills the target with what it lacks, compares both logs event by event, and lets the groups begin. Nothing may
// write to either log meanwhile.
func Run(ctx context.Context, config Config) (Report, error) {
	c := &copying{Config: config, offsets: map[string]uint64{}}
	noted, err := c.begin(ctx)
	if err != nil {
		return c.report, err
	}
	groups, err := c.standOfGroups(ctx)
	if err != nil {
		return c.report, err
	}
	if err := c.fill(ctx, noted); err != nil {
		return c.report, err
	}
	times := timesOf(config.From, config.To, noted)
	if err := c.verify(ctx, func(source, target *esdb.RecordedEvent) error {
		for _, group := range groups {
			group.observe(source, target)
		}
		return times.observe(ctx, source, target)
	}); err != nil {
		return c.report, err
	}
	c.report.Times = times.count
	if noted.Completed && !noted.Begun && c.report.Appended == 0 && times.added == 0 {
		c.report.Groups = c.reportGroups(groups)
		return c.report, nil // was complete before: the groups of the target may have moved on since
	}
	if err := c.noteBegun(ctx, noted); err != nil {
		return c.report, err
	}
	if err := times.flush(ctx); err != nil {
		return c.report, err
	}
	if c.report.Groups, err = c.beginGroups(ctx, groups); err != nil {
		return c.report, err
	}
	if _, err := note(ctx, c.To, eventstoredb.CopyCompletedType, eventstoredb.CopyCompleted{Position: c.report.Position, Events: c.report.Events}); err != nil {
		return c.report, err
	}
	_, err = c.To.ReadCopied(ctx) // whoever goes on with this client finds the log whole
	return c.report, err
}

// Verify compares both logs event by event and changes nothing. What differs first is a DifferenceError.
func Verify(ctx context.Context, config Config) (Report, error) {
	c := &copying{Config: config, offsets: map[string]uint64{}}
	noted, err := c.begin(ctx)
	if err != nil {
		return c.report, err
	}
	times := timesOf(config.From, config.To, noted)
	if err := c.verify(ctx, func(source, target *esdb.RecordedEvent) error { return times.compare(source, target) }); err != nil {
		return c.report, err
	}
	c.report.Times = times.count
	if !noted.Completed || noted.Begun {
		return c.report, &DifferenceError{What: "the copy was not completed. Run it again without --verify-only"}
	}
	return c.report, nil
}

func (c *copying) begin(ctx context.Context) (*eventstoredb.Copied, error) {
	source, err := c.From.ReadCopied(ctx)
	if err == nil && source.Begun {
		err = eventstoredb.ErrCopyIncomplete
	}
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	noted, err := c.To.ReadCopied(ctx)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if c.head, err = c.From.Head(ctx); err != nil {
		return nil, fmt.Errorf("read the end of the source: %w", err)
	}
	return noted, nil
}

func (c *copying) readers() (source, target *reader) {
	read := func(client *eventstoredb.Client) *reader {
		return &reader{client: client, wanted: c.Copies, ours: c.CopiesStream, described: map[string]bool{}, taken: map[string]*esdb.RecordedEvent{}}
	}
	return read(c.From), read(c.To)
}

// fill appends what the target lacks. As far as the target has come, it must be a beginning of the source: nothing is
// written, metadata neither, before all that it holds is compared.
func (c *copying) fill(ctx context.Context, noted *eventstoredb.Copied) error {
	source, target := c.readers()
	var run []*esdb.RecordedEvent
	var size int
	flush := func() error {
		err := c.appendRun(ctx, run)
		run, size = run[:0], 0
		return err
	}
	for filling, events := false, int64(0); ; events++ {
		event, err := source.next(ctx)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if !filling {
			held, err := target.next(ctx)
			if err != nil {
				return fmt.Errorf("read the target: %w", err)
			}
			if held != nil {
				if err := c.compare(event, held); err != nil {
					return err
				}
				c.reportProgress(false, events+1, event)
				continue
			}
		}
		if event == nil {
			break
		}
		if !filling {
			filling = true
			if err := ensureFree(ctx, *source, event, target.taken); err != nil {
				return err
			}
			if err := c.noteBegun(ctx, noted); err != nil {
				return err
			}
		}
		full := len(run) == maxRun || size+len(event.Data)+len(event.UserMetadata) > maxRunBytes
		if len(run) > 0 && (full || run[0].StreamID != event.StreamID) {
			if err := flush(); err != nil {
				return err
			}
		}
		run, size = append(run, event), size+len(event.Data)+len(event.UserMetadata)
		c.reportProgress(false, events+1, event)
	}
	if err := flush(); err != nil {
		return err
	}
	return c.carryMetadata(ctx, noted, source.described)
}

// ensureFree refuses a target where other programs' events stand in streams that the source goes on in.
func ensureFree(ctx context.Context, source reader, event *esdb.RecordedEvent, taken map[string]*esdb.RecordedEvent) (err error) {
	for len(taken) > 0 && event != nil {
		if other := taken[event.StreamID]; other != nil {
			return &DifferenceError{Position: event.Position.Commit, What: fmt.Sprintf(
				"it holds %s, which is another program's, in the stream of %s", name(other), name(event))}
		}
		if event, err = source.next(ctx); err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
	}
	return nil
}

// A run is appended at once: consecutive events of one stream. The size stays well below the store's limit of 1 MiB.
const (
	maxRun      = 200
	maxRunBytes = 512 << 10
)

func (c *copying) appendRun(ctx context.Context, run []*esdb.RecordedEvent) error {
	if len(run) == 0 {
		return nil
	}
	stream := run[0].StreamID
	data := make([]esdb.EventData, len(run))
	for i, event := range run {
		content := esdb.ContentTypeBinary
		if event.ContentType == contentTypeJSON {
			content = esdb.ContentTypeJson
		}
		data[i] = esdb.EventData{EventID: event.EventID, EventType: event.EventType, ContentType: content, Data: event.Data, Metadata: event.UserMetadata}
	}
	var expected esdb.ExpectedRevision = esdb.NoStream{}
	if revision := run[0].EventNumber - c.offset(run[0]); revision > 0 {
		expected = esdb.Revision(revision - 1)
	}
	_, err := outlastOutage(ctx, c.To, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
		return client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, data...)
	})
	if errors.Is(err, commands.ErrConflict) {
		return &DifferenceError{Position: run[0].Position.Commit, What: fmt.Sprintf(
			"revision %d of %s cannot be the next one there (%v). Another program writes to the stream, in one of the logs", run[0].EventNumber, stream, err)}
	}
	if err != nil {
		return fmt.Errorf("append to %s of the target: %w", stream, err)
	}
	c.report.Appended += int64(len(run))
	return nil
}

const contentTypeJSON = "application/json"

// offset returns how much lower a stream is numbered in the target: by what the source has forgotten of its beginning.
func (c *copying) offset(event *esdb.RecordedEvent) uint64 {
	if !c.Forgets(event.StreamID) {
		return 0
	}
	offset, known := c.offsets[event.StreamID]
	if !known {
		offset = event.EventNumber
		c.offsets[event.StreamID] = offset
	}
	return offset
}

// verify compares both logs event by event and hands on each event with its copy.
func (c *copying) verify(ctx context.Context, each func(source, target *esdb.RecordedEvent) error) error {
	source, target := c.readers()
	for {
		event, err := source.next(ctx)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		held, err := target.next(ctx)
		if err != nil {
			return fmt.Errorf("read the target: %w", err)
		}
		if event == nil && held == nil {
			c.report.Foreign, c.report.Metadata = source.foreign, int64(len(source.described))
			return c.compareMetadata(ctx, source.described)
		}
		if err := c.compare(event, held); err != nil {
			return err
		}
		if err := each(event, held); err != nil {
			return err
		}
		c.report.Events++
		c.report.Position = held.Position.Commit
		c.reportProgress(true, c.report.Events, event)
	}
}

// compare returns a DifferenceError unless an event of the target is the copy of one of the source. Either may be nil.
func (c *copying) compare(source, target *esdb.RecordedEvent) error {
	if source == nil {
		return &DifferenceError{What: fmt.Sprintf("it holds %s, which the source does not", name(target))}
	}
	if target == nil {
		return &DifferenceError{Position: source.Position.Commit, What: fmt.Sprintf("it ends before %s", name(source))}
	}
	var what string
	switch {
	case source.EventID != target.EventID || source.StreamID != target.StreamID:
		what = fmt.Sprintf("it holds %s in the place of %s", name(target), name(source))
	case target.EventNumber+c.offset(source) != source.EventNumber:
		what = fmt.Sprintf("%s is revision %d there", name(source), target.EventNumber)
	case source.EventType != target.EventType || source.ContentType != target.ContentType:
		what = fmt.Sprintf("%s is a %s as %s there, not as %s", name(source), target.EventType, target.ContentType, source.ContentType)
	case !bytes.Equal(source.Data, target.Data):
		what = fmt.Sprintf("the data of %s is another", name(source))
	case !bytes.Equal(source.UserMetadata, target.UserMetadata):
		what = fmt.Sprintf("the metadata of %s is another", name(source))
	default:
		return nil
	}
	return &DifferenceError{Position: source.Position.Commit, What: what}
}

func name(event *esdb.RecordedEvent) string {
	return fmt.Sprintf("%s %s (revision %d of %s)", event.EventType, event.EventID, event.EventNumber, event.StreamID)
}

func (c *copying) reportProgress(verifying bool, events int64, event *esdb.RecordedEvent) {
	if c.Progress != nil {
		c.Progress(Progress{Verifying: verifying, Events: events, Position: event.Position.Commit, Head: c.head})
	}
}

// noteBegun says in the target, once, that it is not whole from here on.
func (c *copying) noteBegun(ctx context.Context, noted *eventstoredb.Copied) error {
	if noted.Begun {
		return nil
	}
	if _, err := note(ctx, c.To, eventstoredb.CopyBegunType, struct{}{}); err != nil {
		return err
	}
	noted.Begun = true
	return nil
}

// note appends to the stream in which a log says that it is a copy, and returns where.
func note(ctx context.Context, client *eventstoredb.Client, eventType string, content any) (esdb.Position, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return esdb.Position{}, fmt.Errorf("note %s: %w", eventType, err)
	}
	event := esdb.EventData{EventID: uuid.New(), EventType: eventType, ContentType: esdb.ContentTypeJson, Data: data}
	written, err := outlastOutage(ctx, client, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
		return client.AppendToStream(ctx, eventstoredb.CopyStream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event)
	})
	if err != nil {
		return esdb.Position{}, fmt.Errorf("append to %s: %w", eventstoredb.CopyStream, err)
	}
	return esdb.Position{Commit: written.CommitPosition, Prepare: written.PreparePosition}, nil
}
