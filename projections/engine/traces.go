package engine

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/domain"
)

// traceBatch begins the span of a batch, in the trace of each request whose events are in it. Of history nothing is shown: its
// requests are long over.
func (i *instance) traceBatch(ctx context.Context, to checkpoint, events []domain.Recorded) (context.Context, tracing.Span) {
	if !tracing.On() || !to.caughtUp || len(events) == 0 {
		return ctx, tracing.Span{}
	}
	chains := make([]uuid.UUID, len(events))
	for n, event := range events {
		chains[n] = event.Meta.CorrelationID
	}
	return tracing.Follow(ctx, "project "+i.schema, chains, attribute.String("liveness.projection", i.schema),
		attribute.Int("liveness.batch.events", len(events)), attribute.Int64("liveness.batch.position", to.position))
}
