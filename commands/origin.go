package commands

import (
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Origin says where a command comes from; it ends up in the metadata of its events.
type Origin struct {
	CommandID     uuid.UUID // also the seed of the event ids: a repeated command writes the same events
	CorrelationID uuid.UUID
	Actor         string
	Account       uuid.UUID // the person on whose behalf, Nil when it is no user of the console
}

// NewOrigin starts a chain of events on behalf of actor.
func NewOrigin(actor string) Origin {
	id := uuid.New()
	return Origin{CommandID: id, CorrelationID: id, Actor: actor}
}

// NewUserOrigin starts a chain of events on behalf of a logged-in person, whose role decides what the command may change.
func NewUserOrigin(account uuid.UUID) Origin {
	origin := NewOrigin(domain.ActorUser)
	origin.Account = account
	return origin
}
