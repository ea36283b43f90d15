package eventstoredb

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/domain"
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

// traceReaction begins the span of what an event leads to outside of the log, such as a mail, in the trace of its request.
func traceReaction(ctx context.Context, group string, event domain.Recorded) (context.Context, tracing.Span) {
	if !tracing.On() {
		return ctx, tracing.Span{}
	}
	return tracing.Follow(ctx, "react "+group, []uuid.UUID{event.Meta.CorrelationID}, attribute.String("liveness.event.type", event.Event.EventType()))
}
