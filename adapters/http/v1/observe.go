package v1

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/commands/tracing"
)

// startSpan begins a trace and gives the request its id, a new one each time. What the caller sends as its own, traceparent or
// X-Request-Id, is told apart: it would let anybody give two requests one id, or hide among those of another.
func (x *exchange) startSpan(r *http.Request) (context.Context, trace.Span) {
	x.id = uuid.New()
	options := []trace.SpanStartOption{
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", methodLabel(r.Method)), attribute.String("http.route", x.route),
			attribute.String("liveness.request_id", x.id.String())),
	}
	callers := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header))
	if span := trace.SpanContextFromContext(callers); span.IsValid() {
		x.callerID = span.TraceID().String()
		options = append(options, trace.WithLinks(trace.Link{SpanContext: span}))
	}
	if id, err := uuid.Parse(r.Header.Get("X-Request-Id")); err == nil {
		x.callerID = id.String()
	}
	ctx := r.Context()
	if tracing.On() {
		ctx = tracing.Begin(ctx, x.id)
	}
	return x.api.tracer.Start(ctx, r.Method+" "+x.route, options...) //nolint:spancheck // endSpan ends it
}

func (x *exchange) endSpan(span trace.Span) {
	span.SetAttributes(attribute.Int("http.response.status_code", x.status))
	if x.code != "" {
		span.SetAttributes(attribute.String("error.type", x.code))
	}
	if x.status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, x.code)
	}
	span.End()
}

// log writes one line per request. It holds no key but its prefix, no address and nothing of the body.
func (x *exchange) log(elapsed time.Duration) {
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("method", methodLabel(x.request.Method)), slog.String("route", x.route), slog.Int("status", x.status),
		slog.Duration("duration", elapsed), slog.String("request_id", x.id.String()),
	}
	if x.known {
		attributes = append(attributes, slog.String("customer", x.owner.CustomerID.String()), slog.String("key", x.keyPrefix))
	}
	if x.callerID != "" {
		attributes = append(attributes, slog.String("caller_request_id", x.callerID))
	}
	if x.code != "" {
		attributes = append(attributes, slog.String("code", x.code))
	}
	if span := trace.SpanContextFromContext(x.request.Context()); span.IsSampled() {
		attributes = append(attributes, slog.String("trace_id", span.TraceID().String()))
	}
	switch {
	case x.failed == nil:
	case isInternal(x.failed):
		level = slog.LevelError
		attributes = append(attributes, slog.Any("error", x.failed))
	case x.status >= http.StatusInternalServerError || x.status == problem.StatusClientClosedRequest:
		level = slog.LevelWarn
		attributes = append(attributes, slog.Any("error", x.failed))
	}
	x.api.log.LogAttrs(x.request.Context(), level, "request", attributes...)
}
