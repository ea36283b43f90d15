// Package tracing makes one trace of a request and of all that follows from it, on whichever nodes. Events carry nothing for that: the
// ids of the trace and of its first span follow from the correlation id, which every event has, so that whoever handles an event
// goes on with the trace of the request that it comes from.
//
// Until Install nothing is recorded, and all of this costs a look at a pointer.
package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// scope is what the spans say that they come from.
const scope = "github.com/pas-ta/liveness"

var installed atomic.Pointer[trace.Tracer]

// Install has spans recorded from now on. The provider draws ids with IDs.
func Install(provider trace.TracerProvider) {
	tracer := provider.Tracer(scope)
	installed.Store(&tracer)
}

// On returns whether spans are recorded.
func On() bool { return installed.Load() != nil }

type chainKey struct{}

// Begin returns a context under which a span without a parent is the first one of a chain of events.
func Begin(ctx context.Context, correlation uuid.UUID) context.Context {
	return context.WithValue(ctx, chainKey{}, correlation)
}

// IDs draws the ids of traces and spans: those that follow from a correlation id for the first span of its chain, else random ones.
// It is a generator of OpenTelemetry's SDK.
type IDs struct{}

// NewIDs returns the ids of a span without a parent.
func (IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	correlation, ok := ctx.Value(chainKey{}).(uuid.UUID)
	if !ok {
		correlation = uuid.New()
	}
	return TraceID(correlation), firstSpan(correlation)
}

// NewSpanID returns the id of a span with a parent.
func (IDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:]) // it ends the program rather than fail
	return id
}

// TraceID returns the id of the trace of a chain of events: its correlation id, with the halves exchanged. Who samples a share of all
// traces looks at the last eight bytes, which have to be random from their first bit on; in the second half of a UUID they are not.
func TraceID(correlation uuid.UUID) (id trace.TraceID) {
	copy(id[:8], correlation[8:])
	copy(id[8:], correlation[:8])
	return id
}

// firstSpan returns the id of the span that begins the trace of a chain.
func firstSpan(correlation uuid.UUID) (id trace.SpanID) {
	sum := sha256.Sum256(correlation[:])
	copy(id[:], sum[:])
	return id
}

// Span is something that takes time. The zero Span is not recorded.
type Span struct{ spans []trace.Span }

// End ends the span, failed when there is an error.
func (s Span) End(err error) {
	for _, span := range s.spans {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// StartFirst begins the trace of a chain of events, with the span of the request that it follows from.
func StartFirst(ctx context.Context, correlation uuid.UUID, name string, attributes ...attribute.KeyValue) (context.Context, Span) {
	tracer := installed.Load()
	if tracer == nil {
		return ctx, Span{}
	}
	return started((*tracer).Start(Begin(ctx, correlation), name, //nolint:spancheck // Span.End ends it
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...)))
}

// StartOwn begins a trace of what follows from no request, such as a message of a queue.
func StartOwn(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, Span) {
	tracer := installed.Load()
	if tracer == nil {
		return ctx, Span{}
	}
	return started((*tracer).Start(ctx, name, trace.WithNewRoot(), trace.WithAttributes(attributes...))) //nolint:spancheck // Span.End ends it
}

// Start begins a span below the one under way. Where none is, nothing is recorded: what happens all the time by itself would be
// more than anybody looks at.
func Start(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, Span) {
	tracer := installed.Load()
	if tracer == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, Span{}
	}
	return started((*tracer).Start(ctx, name, trace.WithAttributes(attributes...))) //nolint:spancheck // Span.End ends it
}

func started(ctx context.Context, span trace.Span) (context.Context, Span) {
	return ctx, Span{[]trace.Span{span}}
}

// Note shows below the span under way something that is over.
func Note(ctx context.Context, name string, began time.Time, took time.Duration) {
	tracer := installed.Load()
	if tracer == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	_, span := (*tracer).Start(ctx, name, trace.WithTimestamp(began))
	span.End(trace.WithTimestamp(began.Add(took)))
}

// mostChains is in how many traces something is shown at most that was done for many requests at once.
const mostChains = 32

// Follow begins a span below the one under way, or else one in the trace of each of the chains that it is done for. What happens under
// the context is shown in the first of them.
func Follow(ctx context.Context, name string, chains []uuid.UUID, attributes ...attribute.KeyValue) (context.Context, Span) {
	tracer := installed.Load()
	if tracer == nil {
		return ctx, Span{}
	}
	if trace.SpanContextFromContext(ctx).IsValid() {
		return Start(ctx, name, attributes...)
	}
	var first context.Context
	var all []trace.Span
	for n, correlation := range chains {
		if len(all) == mostChains {
			break
		}
		if slices.Contains(chains[:n], correlation) {
			continue
		}
		below, span := (*tracer).Start(afterFirst(ctx, *tracer, correlation), name, trace.WithAttributes(attributes...))
		if all = append(all, span); first == nil {
			first = below //nolint:fatcontext // each begins at ctx
		}
	}
	if first == nil {
		return ctx, Span{}
	}
	return first, Span{all}
}

// afterFirst returns a context that says that the first span of a chain is under way. Whether that is recorded the sampler knows, which
// decides by the id of the trace; it is asked by beginning the span that nobody ends.
func afterFirst(ctx context.Context, tracer trace.Tracer, correlation uuid.UUID) context.Context {
	asked, _ := tracer.Start(Begin(ctx, correlation), "", trace.WithNewRoot()) //nolint:spancheck // one that ended would be sent
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: TraceID(correlation), SpanID: firstSpan(correlation), TraceFlags: trace.SpanContextFromContext(asked).TraceFlags(), Remote: true,
	}))
}
