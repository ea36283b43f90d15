package commands

import "github.com/google/uuid"

// Origin says where a command comes from; it ends up in the metadata of its events.
type Origin struct {
	CommandID     uuid.UUID // also the seed of the event ids: a repeated command writes the same events
	CorrelationID uuid.UUID
	Actor         string
}

// NewOrigin starts a chain of events on behalf of actor.
func NewOrigin(actor string) Origin {
	id := uuid.New()
	return Origin{CommandID: id, CorrelationID: id, Actor: actor}
}
