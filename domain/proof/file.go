// Package proof makes and checks the proof of one customer's month: a file with the events that the month's count and its reports
// to AWS follow from, the proof that each stands in the transparency log, and what they come to. Whoever has the file and a key
// of the log can check it without the log and without its operator. Like the domain it is pure.
package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Format names what a file's lines mean. Other lines need another name.
const Format = "liveness-proof/1"

// The kinds of lines, in the order in which they stand in a file. Each line is a JSON object.
const (
	kindProof      = "proof"      // one: Header
	kindKey        = "key"        // some: what checkpoints and statement are signed with
	kindCheckpoint = "checkpoint" // one: of the tree that the events are leaves of
	kindEarlier    = "earlier"    // some: older checkpoints, whose tree is the beginning of this one's
	kindEvent      = "event"      // some, as they follow each other in the log
	kindMonth      = "month"      // one: what the events come to
	kindStatement  = "statement"  // one: the signed statement that this is all
)

// File is a proof.
type File struct {
	Header     Header
	Keys       []string // as package note writes verifier keys
	Checkpoint string   // a signed note
	Earlier    []Earlier
	Events     []Event
	Month      Month
	Statement  string // a signed note; Encode makes it

	lines  map[string]int // where the lines stand of which there is one
	digest [sha256.Size]byte
}

// Header says what is proved.
type Header struct {
	Format         string       `json:"format"`
	CustomerID     uuid.UUID    `json:"customerId"`
	SubscriptionID uuid.UUID    `json:"subscriptionId"`
	Month          domain.Month `json:"month"`
	MadeAt         time.Time    `json:"madeAt"`
	Streams        []Stream     `json:"streams"`
}

// Stream says how much of a stream the file holds.
type Stream struct {
	Name   string `json:"stream"`
	From   uint64 `json:"from,omitempty"` // the first revision
	Events int    `json:"events"`
}

// Earlier is an older checkpoint with the proof that the tree has only grown since.
type Earlier struct {
	Note  string         `json:"note"`
	Proof tlog.TreeProof `json:"proof"`

	line int
}

// Event is an event with the proof that it is a leaf of the tree.
type Event struct {
	Index      int64            `json:"index"` // of the leaf
	Type       string           `json:"type"`
	Stream     string           `json:"stream"`
	Revision   uint64           `json:"revision"`
	ID         uuid.UUID        `json:"id"`
	RecordedAt time.Time        `json:"recordedAt"` // by the store's clock; the tree does not hold it
	Data       string           `json:"data"`       // as stored
	Metadata   string           `json:"metadata"`   // as stored
	Proof      tlog.RecordProof `json:"proof"`

	line int
}

// EventOf returns an event that was recorded with its bytes, as the leaf of an index. The proof is still missing.
func EventOf(r domain.Recorded, index int64) Event {
	return Event{
		Index: index, Type: r.Event.EventType(), Stream: r.Stream, Revision: r.Revision, ID: r.ID, RecordedAt: r.RecordedAt.UTC(),
		Data: string(r.Raw.Data), Metadata: string(r.Raw.Metadata),
	}
}

// leaf returns the event as the tree holds it.
func (e Event) leaf() transparency.Event {
	return transparency.Event{
		Type: e.Type, Stream: e.Stream, Revision: e.Revision, ID: e.ID, Data: []byte(e.Data), Metadata: []byte(e.Metadata),
	}
}

// StandsIn returns whether the event's proof shows that it is a leaf of a tree.
func (e Event) StandsIn(tree tlog.Tree) bool {
	return tlog.CheckRecord(e.Proof, tree.N, tree.Hash, e.Index, e.leaf().LeafHash()) == nil
}

// ContinuedBy returns whether the proof shows that the checkpoint's tree is the beginning of another one.
func (e Earlier) ContinuedBy(tree, older tlog.Tree) bool {
	switch {
	case older.N == 0:
		return true // of nothing everything is a continuation
	case older.N == tree.N:
		return older.Hash == tree.Hash
	}
	return tlog.CheckTree(e.Proof, tree.N, tree.Hash, older.N, older.Hash) == nil
}

// decode returns the event as the domain knows it. Its position is its place in the tree.
func (e Event) decode(registry *domain.Registry) (domain.Recorded, error) {
	recorded := domain.Recorded{
		ID: e.ID, Stream: e.Stream, Revision: e.Revision, Position: uint64(e.Index) + 1, RecordedAt: e.RecordedAt.UTC(),
	}
	if err := json.Unmarshal([]byte(e.Metadata), &recorded.Meta); err != nil {
		return recorded, fmt.Errorf("its metadata cannot be read: %w", err)
	}
	var err error
	recorded.Event, err = registry.Decode(e.Type, recorded.Meta.SchemaVersion, []byte(e.Data))
	return recorded, err
}

// text is a line that holds nothing but a text.
type text struct {
	Key  string `json:"key,omitempty"`
	Note string `json:"note,omitempty"`
}

// statement is what the operator signs: that the file holds all that there is of the month as of a checkpoint.
type statement struct {
	customer uuid.UUID
	month    domain.Month
	tree     tlog.Tree
	events   int
	digest   [sha256.Size]byte // of the lines before
}

func (s statement) String() string {
	return fmt.Sprintf("%s\ncustomer %s\nmonth %s\ntree %d %s\nevents %d\nsha256 %s\n",
		Format, s.customer, s.month, s.tree.N, s.tree.Hash, s.events, hex.EncodeToString(s.digest[:]))
}

// Encode returns the file as it is given away, with a statement that signers have signed.
func (f File) Encode(signers ...note.Signer) ([]byte, error) {
	checkpoint, _, err := transparency.OpenCheckpoint(f.Checkpoint, f.Keys...)
	if err != nil {
		return nil, err
	}
	w := &lineWriter{}
	w.write(kindProof, f.Header)
	for _, key := range f.Keys {
		w.write(kindKey, text{Key: key})
	}
	w.write(kindCheckpoint, text{Note: f.Checkpoint})
	for _, earlier := range f.Earlier {
		w.write(kindEarlier, earlier)
	}
	for _, event := range f.Events {
		w.write(kindEvent, event)
	}
	w.write(kindMonth, f.Month)
	said := statement{f.Header.CustomerID, f.Header.Month, checkpoint.Tree, len(f.Events), sha256.Sum256(w.lines.Bytes())}
	signed, err := note.Sign(&note.Note{Text: said.String()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign the proof: %w", err)
	}
	w.write(kindStatement, text{Note: string(signed)})
	return w.lines.Bytes(), w.err
}

// lineWriter writes lines. It keeps its first failure.
type lineWriter struct {
	lines bytes.Buffer
	err   error
}

// write writes a line with the fields of a JSON object behind the line's kind.
func (w *lineWriter) write(kind string, fields any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("write a line of kind %s: %w", kind, err))
		return
	}
	w.lines.WriteString(`{"kind":"` + kind + `",`)
	w.lines.Write(body.Bytes()[1:])
}
