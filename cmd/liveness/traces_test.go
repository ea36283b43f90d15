package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pas-ta/liveness/commands/tracing"
)

// receiver takes traces as an OpenTelemetry collector does, and keeps them.
type receiver struct {
	mu    sync.Mutex
	spans map[string][]receivedSpan // by trace
}

type receivedSpan struct{ service, name, id, parent string }

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &sent) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, from := range sent.GetResourceSpans() {
		service := ""
		for _, attribute := range from.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				service = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range from.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				trace := hex.EncodeToString(span.GetTraceId())
				r.spans[trace] = append(r.spans[trace], receivedSpan{
					service, span.GetName(), hex.EncodeToString(span.GetSpanId()), hex.EncodeToString(span.GetParentSpanId()),
				})
			}
		}
	}
}

// trace returns the spans of a trace, each as "service: name", with that which it is below, in any order; an error says that some are
// not there yet.
func (r *receiver) trace(id string) (shown []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := map[string]string{"": "nothing"}
	for _, span := range r.spans[id] {
		names[span.id] = span.name
	}
	for _, span := range r.spans[id] {
		above, known := names[span.parent]
		if !known {
			err = errors.Join(err, fmt.Errorf("%s is below a span that nobody has sent", span.name))
		}
		shown = append(shown, fmt.Sprintf("%s: %s < %s", span.service, span.name, above))
	}
	return shown, err
}

// A check is one trace, from the request over judging and the append to the read models that another process maintains.
func TestACheckIsOneTrace(t *testing.T) {
	t.Parallel()
	received := &receiver{spans: map[string][]receivedSpan{}}
	otlp := httptest.NewServer(received)
	t.Cleanup(otlp.Close)
	c := startWatched(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+otlp.URL, "OTEL_BSP_SCHEDULE_DELAY=50")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.apis[0].addr+"/v1/check/liveness", bytes.NewReader(smallFace(t)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", c.demo.Primary)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	id, err := uuid.Parse(response.Header.Get("X-Request-Id"))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	eventually(t, "the trace", func() error {
		shown, err := received.trace(tracing.TraceID(id).String())
		for _, want := range []string{
			"liveness-serve: POST /v1/check/liveness < nothing",
			"liveness-serve: check < POST /v1/check/liveness", "liveness-serve: judge < check",
			"liveness-serve: wait < judge", "liveness-serve: decode < judge", "liveness-serve: detect < judge", "liveness-serve: score < judge",
			"liveness-serve: append to event store < POST /v1/check/liveness",
			"liveness-serve: read from event store < POST /v1/check/liveness",
			"liveness-serve: postgres select < POST /v1/check/liveness",
			"liveness-work: project usage < POST /v1/check/liveness", "liveness-work: project traffic < POST /v1/check/liveness",
			"liveness-work: postgres begin < project usage",
		} {
			if !slices.Contains(shown, want) {
				err = errors.Join(err, fmt.Errorf("there is no %q in\n%s", want, strings.Join(shown, "\n")))
			}
		}
		return err
	})
}
