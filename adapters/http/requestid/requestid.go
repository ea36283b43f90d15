// Package requestid gives each request an id of ours, never the caller's: its answer names it, lines of the log do, it is the
// correlation id of what the request leads to, and its trace has the id that follows from it.
package requestid

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands/tracing"
)

// Header names the request in an answer.
const Header = "X-Request-Id"

type key struct{}

// Handler gives every request of a part of the site its id. The part, and not the address, names it in traces: addresses of mailed
// links hold secrets.
func Handler(part string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.New()
		w.Header().Set(Header, id.String())
		ctx, span := tracing.StartFirst(context.WithValue(r.Context(), key{}, id), id, r.Method+" "+part, attribute.String("liveness.request_id", id.String()))
		defer span.End(nil)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// From returns the id of the request that a context is of, uuid.Nil when it is of none.
func From(ctx context.Context) uuid.UUID {
	id, _ := ctx.Value(key{}).(uuid.UUID)
	return id
}

// Log returns a handler of the log that adds the id of the request to what is said under its context.
func Log(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	if id := From(ctx); id != uuid.Nil {
		record = record.Clone()
		record.AddAttrs(slog.String("request_id", id.String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
