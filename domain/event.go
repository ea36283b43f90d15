package domain

import (
	"time"

	"github.com/google/uuid"
)

// Event is a fact of one aggregate. Its type name is a constant and never derived from the Go type, so that a renamed
// struct cannot change what stands in the log.
type Event interface {
	EventType() string
}

// Metadata accompanies every event in the log. The two `$` names are the ones EventStoreDB's own tools follow.
type Metadata struct {
	CorrelationID uuid.UUID `json:"$correlationId"`   // the request or message that started the chain
	CausationID   uuid.UUID `json:"$causationId"`     // what directly led to the event
	Actor         string    `json:"actor"`            // who did it: an Actor… constant
	Account       uuid.UUID `json:"account,omitzero"` // which person, when it was a user and is known
	SchemaVersion int       `json:"schemaVersion"`    // the version of the event's shape
	OccurredAt    time.Time `json:"time"`             // when it was decided, UTC
}

// Actors say on whose behalf an event was written.
const (
	ActorBuyer       = "buyer"       // the person before the browser, not yet logged in
	ActorUser        = "user"        // a logged-in user of the console
	ActorAPIClient   = "api-client"  // a caller with an API key
	ActorMarketplace = "marketplace" // AWS Marketplace, by registration or notification
	ActorSystem      = "system"      // a process manager or a timer of ours
	ActorOperator    = "operator"    // a person at the command line
)

// Ours returns whether metadata is as this product writes it: an event that bears it is the product's, also when a newer program
// has written it and its type or stream is not known here.
func (m Metadata) Ours() bool {
	switch m.Actor {
	case ActorBuyer, ActorUser, ActorAPIClient, ActorMarketplace, ActorSystem, ActorOperator:
		return m.SchemaVersion > 0 && m.CausationID != uuid.Nil && m.CorrelationID != uuid.Nil && !m.OccurredAt.IsZero()
	}
	return false
}

// Recorded is an event as the log holds it.
type Recorded struct {
	ID         uuid.UUID
	Stream     string
	Revision   uint64    // place in the stream, from 0
	Position   uint64    // commit position in the whole log, strictly growing
	RecordedAt time.Time // the store's clock at the first commit, UTC; orders hours for metering. A copied log keeps it to the hour
	Meta       Metadata
	Event      Event
	Raw        Raw // empty where events are read to decide on; filled in where the log is followed
}

// Raw is what the log holds of an event, byte for byte.
type Raw struct{ Data, Metadata []byte }
