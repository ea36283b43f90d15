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
)

// startSpan joins the caller's trace (W3C traceparent) or begins one, and gives the request its id: that of the trace,
// else the X-Request-Id when it is a UUID, else a new one.
func (x *exchange) startSpan(r *http.Request) (context.Context, trace.Span) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := x.api.tracer.Start(ctx, r.Method+" "+x.route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", methodLabel(r.Method)), attribute.String("http.route", x.route)))
	if id := span.SpanContext().TraceID(); id.IsValid() {
		x.id = uuid.UUID(id)
	} else if id, err := uuid.Parse(r.Header.Get("X-Request-Id")); err == nil {
		x.id = id
	} else {
		x.id = uuid.New()
	}
	return ctx, span
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
		slog.Duration("elapsed", elapsed), slog.String("request_id", x.id.String()),
	}
	if x.known {
		attributes = append(attributes, slog.String("customer", x.owner.CustomerID.String()), slog.String("key", x.keyPrefix))
	}
	if x.code != "" {
		attributes = append(attributes, slog.String("code", x.code))
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
