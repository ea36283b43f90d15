package tracing_test

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/pas-ta/liveness/commands/tracing"
)

// install has spans recorded, those that sampler takes, and returns where.
func install(sampler sdktrace.Sampler) *tracetest.InMemoryExporter {
	spans := tracetest.NewInMemoryExporter()
	tracing.Install(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithIDGenerator(tracing.IDs{}), sdktrace.WithSampler(sampler)))
	return spans
}

func named(spans tracetest.SpanStubs, name string) (found tracetest.SpanStubs) {
	for _, span := range spans {
		if span.Name == name {
			found = append(found, span)
		}
	}
	return found
}

// Before Install nothing is recorded, and nothing is made for it.
func TestNothingIsRecordedAtFirst(t *testing.T) { //nolint:paralleltest // what is installed is the whole process's
	if tracing.On() {
		t.Skip("a test before this one, of an earlier count, has had spans recorded")
	}
	chain, ctx := []uuid.UUID{uuid.New()}, t.Context()
	if made := testing.AllocsPerRun(100, func() {
		_, span := tracing.Start(ctx, "start")
		span.End(nil)
		_, span = tracing.Follow(ctx, "follow", chain)
		span.End(nil)
		tracing.Note(ctx, "note", time.Time{}, 0)
	}); made != 0 {
		t.Errorf("%v things are made while nothing is recorded", made)
	}
}

// Whoever handles the events of a request, here or elsewhere, goes on below its first span.
func TestWhatFollowsARequestIsInItsTrace(t *testing.T) { //nolint:paralleltest // what is installed is the whole process's
	spans := install(sdktrace.AlwaysSample())
	if !tracing.On() {
		t.Error("nothing is recorded")
	}
	request := uuid.MustParse("00112233-4455-4677-8899-aabbccddeeff")
	ctx, first := tracing.StartFirst(t.Context(), request, "request")
	_, below := tracing.Start(ctx, "below")
	tracing.Note(ctx, "noted", time.Unix(10, 0), time.Second)
	below.End(errors.New("it failed"))
	first.End(nil)
	other := uuid.New()
	after, batch := tracing.Follow(t.Context(), "batch", []uuid.UUID{request, other, request})
	_, query := tracing.Start(after, "query")
	query.End(nil)
	batch.End(nil)

	all := spans.GetSpans()
	root := named(all, "request")[0]
	if id := root.SpanContext.TraceID().String(); id != "8899aabbccddeeff0011223344554677" || root.Parent.IsValid() {
		t.Errorf("the trace of %s is %s, below %v", request, id, root.Parent)
	}
	for _, name := range []string{"below", "noted"} {
		if span := named(all, name)[0]; span.Parent.SpanID() != root.SpanContext.SpanID() {
			t.Errorf("%s is below %s", name, span.Parent.SpanID())
		}
	}
	if span := named(all, "noted")[0]; !span.StartTime.Equal(time.Unix(10, 0)) || span.EndTime.Sub(span.StartTime) != time.Second {
		t.Errorf("what was noted lasted from %v to %v", span.StartTime, span.EndTime)
	}
	if span := named(all, "below")[0]; span.Status.Code != codes.Error || span.Status.Description != "it failed" {
		t.Errorf("a failure is %+v", span.Status)
	}
	batches := named(all, "batch")
	if len(batches) != 2 {
		t.Fatalf("a batch for two requests is shown %d times", len(batches))
	}
	if batches[0].Parent.TraceID() != root.SpanContext.TraceID() || batches[0].Parent.SpanID() != root.SpanContext.SpanID() {
		t.Errorf("the batch is below %v, want the request %v", batches[0].Parent, root.SpanContext)
	}
	if batches[1].SpanContext.TraceID() != tracing.TraceID(other) {
		t.Error("the batch is not in the trace of the other request")
	}
	if span := named(all, "query")[0]; span.Parent.SpanID() != batches[0].SpanContext.SpanID() {
		t.Error("the query is not below the batch")
	}
}

// What runs by itself all the time is not shown, and a batch of very many in some of them only.
func TestNotEverythingIsShown(t *testing.T) { //nolint:paralleltest // what is installed is the whole process's
	spans := install(sdktrace.AlwaysSample())
	_, span := tracing.Start(t.Context(), "by itself")
	span.End(nil)
	tracing.Note(t.Context(), "by itself", time.Now(), time.Second)
	_, span = tracing.Follow(t.Context(), "of nothing", nil)
	span.End(nil)
	if all := spans.GetSpans(); len(all) != 0 {
		t.Errorf("%v", all)
	}
	var many []uuid.UUID
	for range 33 {
		many = append(many, uuid.New())
	}
	_, span = tracing.Follow(t.Context(), "batch", many)
	span.End(nil)
	if all := spans.GetSpans(); len(all) != 32 {
		t.Errorf("a batch of 33 is shown %d times", len(all))
	}
}

// A share of all requests is recorded, each of them on all nodes or on none.
func TestAShareIsRecordedWhole(t *testing.T) { //nolint:paralleltest // what is installed is the whole process's
	spans := install(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.25)))
	const requests = 400
	recorded := 0
	for n := range requests {
		spans.Reset()
		var request uuid.UUID // as random as those of requests, and the same each time
		copy(request[:], []byte{byte(n * 167), byte(n * 59), byte(n), byte(n * 3), byte(n * 7), byte(n * 11), 0x40 | byte(n&15), byte(n * 13), 0x80})
		_, first := tracing.StartFirst(context.Background(), request, "request")
		first.End(nil)
		_, after := tracing.Follow(context.Background(), "batch", []uuid.UUID{request})
		after.End(nil)
		names := []string{}
		for _, span := range spans.GetSpans() {
			names = append(names, span.Name)
		}
		if slices.Sort(names); len(names) != 0 && strings.Join(names, " ") != "batch request" {
			t.Fatalf("of %s there is %v", hex.EncodeToString(request[:]), names)
		}
		if len(names) > 0 {
			recorded++
		}
	}
	if recorded < requests/8 || recorded > requests/2 {
		t.Errorf("%d of %d requests are recorded, want about a quarter", recorded, requests)
	}
}
