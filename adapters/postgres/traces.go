package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands/tracing"
)

// queryTracer makes a span of each query that is part of a trace. It shows the query without its values.
type queryTracer struct{}

type querySpanKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (queryTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	if !tracing.On() {
		return ctx
	}
	verb, _, _ := strings.Cut(strings.TrimSpace(query.SQL), " ")
	ctx, span := tracing.Start(ctx, "postgres "+strings.ToLower(strings.Trim(verb, "; \n\t")),
		attribute.String("db.system.name", "postgresql"), attribute.String("db.query.text", query.SQL))
	return context.WithValue(ctx, querySpanKey{}, span)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (queryTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryEndData) {
	if span, ok := ctx.Value(querySpanKey{}).(tracing.Span); ok {
		span.End(query.Err)
	}
}
