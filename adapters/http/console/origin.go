package console

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/requestid"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// by returns the origin of what a request does on behalf of an actor: all of it is one chain, that of the request.
func by(ctx context.Context, actor string) commands.Origin {
	origin := commands.NewOrigin(actor)
	if request := requestid.From(ctx); request != uuid.Nil {
		origin.CorrelationID = request
	}
	return origin
}

// byUser returns the origin of what a request does on behalf of somebody who is logged in.
func byUser(ctx context.Context, account uuid.UUID) commands.Origin {
	origin := by(ctx, domain.ActorUser)
	origin.Account = account
	return origin
}
