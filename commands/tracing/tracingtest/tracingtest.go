// Package tracingtest keeps the spans that a test leads to.
package tracingtest

import (
	"encoding/json"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/pas-ta/liveness/commands/tracing"
)

// Spans are those that have ended.
type Spans struct{ kept *tracetest.InMemoryExporter }

// Record has spans recorded from now on, those of the whole process. A test that calls it runs by itself.
func Record() Spans {
	kept := tracetest.NewInMemoryExporter()
	tracing.Install(sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept), sdktrace.WithIDGenerator(tracing.IDs{})))
	return Spans{kept}
}

// Named returns the spans of a name.
func (s Spans) Named(name string) (found tracetest.SpanStubs) {
	for _, span := range s.kept.GetSpans() {
		if span.Name == name {
			found = append(found, span)
		}
	}
	return found
}

// One returns the only span of a name, which fails with a text; "" when it does not fail.
func (s Spans) One(t *testing.T, name, fails string) tracetest.SpanStub {
	t.Helper()
	found := s.Named(name)
	if len(found) != 1 {
		t.Fatalf("there are %d spans %q among\n%s", len(found), name, s.text(t))
	}
	if status := found[0].Status; status.Description != fails || (status.Code == codes.Error) != (fails != "") {
		t.Errorf("%s ends with %+v, want %q", name, status, fails)
	}
	return found[0]
}

// WantNone fails where a span says one of the texts.
func (s Spans) WantNone(t *testing.T, texts ...string) {
	t.Helper()
	said := s.text(t)
	for _, text := range texts {
		if strings.Contains(said, text) {
			t.Errorf("a span says %q:\n%s", text, said)
		}
	}
}

func (s Spans) text(t *testing.T) string {
	t.Helper()
	text, err := json.MarshalIndent(s.kept.GetSpans(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
