package console

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/requestid"
	"github.com/pas-ta/liveness/commands"
)

// by returns the origin of what a request does on behalf of an actor.
func by(ctx context.Context, actor string) commands.Origin {
	return within(ctx, commands.NewOrigin(actor))
}

// byUser returns the origin of what a request does on behalf of somebody who is logged in.
func byUser(ctx context.Context, account uuid.UUID) commands.Origin {
	return within(ctx, commands.NewUserOrigin(account))
}

// within makes all that a request does one chain, that of the request.
func within(ctx context.Context, origin commands.Origin) commands.Origin {
	if request := requestid.From(ctx); request != uuid.Nil {
		origin.CorrelationID = request
	}
	return origin
}
