package auditing

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// ReadModels are what the product shows, as an auditor looks at them.
//
// Examine makes read models from the events that feed hands over, beside those that are running, and returns how the two
// differ. It waits a moment for those that somebody maintains and that do not show the log up to Head yet.
type ReadModels interface {
	Names() []string
	Examine(ctx context.Context, o Examination, feed Feed) ([]ReadModel, error)
}

// Feed hands over events of ours in the order of the log. One that cannot be read is Unreadable.
type Feed func(ctx context.Context, take func(domain.Recorded) error) error

// Examination says what is examined.
type Examination struct {
	Names    []string
	Head     uint64
	Skipped  map[string]map[uuid.UUID]audit.Skip // by read model: what operators let it go past, by the event's id
	Locating bool                                // also find out which events a row that differs comes from
}

// ReadModel is what an examination found of one read model.
type ReadModel struct {
	Name        string       `json:"name"`
	Position    uint64       `json:"position"` // up to which it shows the log
	Tables      []Table      `json:"tables"`
	Differences []Difference `json:"differences,omitempty"`
	Unfinished  string       `json:"unfinished,omitempty"` // why it could not be compared
}

// Table is one of a read model's.
type Table struct {
	Name  string `json:"name"`
	Shown int64  `json:"shown"` // rows
	ByLog int64  `json:"byLog"` // rows that there should be
	Equal bool   `json:"equal"`
}

// Difference is a row that a read model shows otherwise than the log says.
type Difference struct {
	Table   string `json:"table"`
	Row     string `json:"row"`               // what the row is about
	Running string `json:"running,omitempty"` // as it is shown; empty when there is no such row
	Log     string `json:"log,omitempty"`     // as the log says; empty when there should be none

	// When they were looked for: the events that changed the row last stand behind the one position, from First to Last.
	Behind  uint64      `json:"-"`
	First   uint64      `json:"-"`
	Last    uint64      `json:"-"`
	IDs     []uuid.UUID `json:"-"` // that the row is about
	Ordinal int64       `json:"-"` // of the call that the row is about; 0 when it is about none
}

// Unreadable stands for an event of ours that cannot be decoded.
type Unreadable struct {
	Type string
	Err  error
}

// EventType names the event in the log.
func (u Unreadable) EventType() string { return u.Type }
