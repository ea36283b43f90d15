package proof

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Finding is a place where a file proves nothing or contradicts itself.
type Finding struct {
	Line     int    `json:"line,omitempty"` // of the file, from 1; 0 when no single line is at fault
	Stream   string `json:"stream,omitempty"`
	Revision uint64 `json:"revision"`
	Problem  string `json:"problem"`
}

// String writes the finding in a line.
func (f Finding) String() string {
	where := ""
	if f.Line != 0 {
		where = fmt.Sprintf("line %d: ", f.Line)
	}
	if f.Stream != "" {
		where += fmt.Sprintf("%s@%d: ", f.Stream, f.Revision)
	}
	return domain.Visible(where + f.Problem)
}

// Report is what a check comes to; without findings the file proves what it says.
type Report struct {
	CustomerID     uuid.UUID    `json:"customerId"`
	SubscriptionID uuid.UUID    `json:"subscriptionId"`
	Of             domain.Month `json:"of"`
	MadeAt         time.Time    `json:"madeAt"`
	Origin         string       `json:"origin"`
	Size           int64        `json:"size"` // of the tree
	Root           string       `json:"root"`
	Keys           []string     `json:"keys"`      // that have signed
	KeysGiven      bool         `json:"keysGiven"` // by who checks; otherwise they are the file's own
	Events         int          `json:"events"`
	Month          Month        `json:"month"` // as it follows from the events
	Findings       []Finding    `json:"findings"`
}

// Options say what a file is checked against.
type Options struct {
	Keys    []string // verifier keys that are trusted; none trusts those in the file
	Against []byte   // a checkpoint or another proof of the same log
}

// Check checks a file. It fails only when the file is no proof at all.
func Check(content []byte, options Options) (Report, error) {
	file, findings, err := read(content)
	if err != nil {
		return Report{}, err
	}
	c := check{file: file, keys: options.Keys, report: Report{
		CustomerID: file.Header.CustomerID, SubscriptionID: file.Header.SubscriptionID, Of: file.Header.Month, MadeAt: file.Header.MadeAt,
		KeysGiven: len(options.Keys) > 0, Events: len(file.Events), Findings: findings,
	}}
	if !c.report.KeysGiven {
		c.keys = file.Keys
	}
	c.checkpoints()
	c.events()
	c.streams()
	c.month()
	c.statement()
	if len(options.Against) > 0 {
		if err := c.against(options.Against); err != nil {
			return Report{}, err
		}
	}
	slices.SortStableFunc(c.report.Findings, func(x, y Finding) int { return cmp.Compare(x.Line, y.Line) })
	return c.report, nil
}

// check is a check under way.
type check struct {
	file    File
	keys    []string
	tree    tlog.Tree   // of the checkpoint; its size is -1 while there is none
	earlier []tlog.Tree // of which the tree is a continuation
	report  Report
}

func (c *check) find(line int, format string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{Line: line, Problem: fmt.Sprintf(format, args...)})
}

func (c *check) findAt(e Event, format string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{
		Line: e.line, Stream: e.Stream, Revision: e.Revision, Problem: fmt.Sprintf(format, args...),
	})
}

// checkpoints looks at the signatures, and whether the tree continues those of the older checkpoints.
func (c *check) checkpoints() {
	signed, by, err := transparency.OpenCheckpoint(c.file.Checkpoint, c.keys...)
	if err != nil {
		c.find(c.file.lines[kindCheckpoint], "the checkpoint proves nothing: %v", err)
		c.tree.N = -1
		return
	}
	c.tree = signed.Tree
	c.report.Origin, c.report.Size, c.report.Root, c.report.Keys = signed.Origin, signed.N, signed.Hash.String(), by
	for _, earlier := range c.file.Earlier {
		older, _, err := transparency.OpenCheckpoint(earlier.Note, c.keys...)
		switch {
		case err != nil:
			c.find(earlier.line, "the earlier checkpoint proves nothing: %v", err)
		case older.Origin != signed.Origin:
			c.find(earlier.line, "the earlier checkpoint is of another log: %s", older.Origin)
		case !earlier.ContinuedBy(signed.Tree, older.Tree):
			c.find(earlier.line, "the tree of %d leaves is no continuation of the earlier one of %d: history was rewritten", signed.N, older.N)
		default:
			c.earlier = append(c.earlier, older.Tree)
		}
	}
}

// events looks at every event by itself: that it is the leaf that it says it is.
func (c *check) events() {
	previous := int64(-1)
	for _, event := range c.file.Events {
		if event.Index <= previous {
			c.findAt(event, "it stands behind an event that follows it in the log")
		}
		previous = event.Index
		if c.tree.N >= 0 && !event.StandsIn(c.tree) {
			c.findAt(event, "the log does not hold it so as leaf %d: it was changed, moved or made up", event.Index)
		}
	}
}

// streams looks whether the file holds what its header says of every stream, without a gap, and nothing else.
func (c *check) streams() {
	type progress struct {
		Stream
		seen int
	}
	streams := map[string]*progress{}
	for _, s := range c.file.Header.Streams {
		if streams[s.Name] != nil || !belongs(c.file.Header, s) {
			c.find(1, "the stream %s is not one of the month's", s.Name)
		}
		streams[s.Name] = &progress{Stream: s}
	}
	for _, event := range c.file.Events {
		s := streams[event.Stream]
		if s == nil {
			c.findAt(event, "the stream is not one of the month's")
			continue
		}
		if next := s.From + uint64(s.seen); event.Revision != next {
			c.findAt(event, "revision %d was to come next: events are missing, moved or there twice", next)
		}
		s.seen = int(event.Revision-s.From) + 1
	}
	for _, s := range c.file.Header.Streams {
		if seen := streams[s.Name].seen; seen != s.Events {
			c.report.Findings = append(c.report.Findings, Finding{
				Line: 1, Stream: s.Name, Revision: s.From + uint64(max(seen, 0)),
				Problem: fmt.Sprintf("the stream has %d events and the file holds it up to %d: events are missing", s.Events, seen),
			})
		}
	}
}

// belongs returns whether a stream is one that the month of a customer is proved by. All are there from their beginning,
// but for the hours sealed in the month before, of which the last one is.
func belongs(of Header, s Stream) bool {
	if s.Name == domain.SealedHoursStream(of.Month.Previous()) {
		return s.Events == 1
	}
	if s.From != 0 {
		return false
	}
	switch s.Name {
	case domain.SubscriptionStream(of.SubscriptionID), domain.UsageStream(of.SubscriptionID, of.Month),
		domain.UsageCreditsStream(of.SubscriptionID, of.Month), domain.UsageEndStream(of.SubscriptionID),
		domain.SealedHoursStream(of.Month):
		return true
	}
	return ofSubscription(of.SubscriptionID, s.Name)
}

// month looks whether the events come to what the file says they do.
func (c *check) month() {
	if customer := domain.CustomerIDForSubscription(c.file.Header.SubscriptionID); customer != c.file.Header.CustomerID {
		c.find(1, "the subscription is not the customer's")
	}
	month, findings := Recompute(c.file.Header, c.file.Events)
	c.report.Month = month
	c.report.Findings = append(c.report.Findings, findings...)
	if line, differ := c.file.lines[kindMonth], month.difference(c.file.Month); line != 0 && differ != "" {
		c.find(line, "the events come to something else than the file says: %s", differ)
	}
}

// statement looks at what the operator has signed of the file as a whole.
func (c *check) statement() {
	line := c.file.lines[kindStatement]
	if line == 0 || c.tree.N < 0 {
		return
	}
	var verifiers []note.Verifier
	for _, key := range c.keys {
		if verifier, err := note.NewVerifier(key); err == nil {
			verifiers = append(verifiers, verifier)
		}
	}
	opened, err := note.Open([]byte(c.file.Statement), note.VerifierList(verifiers...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		err = errors.New("none of the known keys has signed it")
	}
	if err != nil {
		c.find(line, "the statement proves nothing: %v", err)
		return
	}
	said := statement{c.file.Header.CustomerID, c.file.Header.Month, c.tree, len(c.file.Events), c.file.digest}
	if opened.Text != said.String() {
		c.find(line, "the operator has signed another file: this one was changed after it was made")
	}
}
