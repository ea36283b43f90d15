package eventstoredb

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/tracing"
)

// traceAppend begins the span of an append, in the trace of each request whose events are appended.
func traceAppend(ctx context.Context, stream string, events []commands.Proposed) (context.Context, tracing.Span) {
	if !tracing.On() {
		return ctx, tracing.Span{}
	}
	chains := make([]uuid.UUID, len(events))
	for n, event := range events {
		chains[n] = event.Meta.CorrelationID
	}
	return tracing.Follow(ctx, "append to event store", chains,
		attribute.String("db.system.name", "eventstoredb"), attribute.String("db.collection.name", stream), attribute.Int("db.operation.batch.size", len(events)))
}

// traceRead begins the span of a read.
func traceRead(ctx context.Context, stream string) (context.Context, tracing.Span) {
	if !tracing.On() {
		return ctx, tracing.Span{}
	}
	return tracing.Start(ctx, "read from event store", attribute.String("db.system.name", "eventstoredb"), attribute.String("db.collection.name", stream))
}
