package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
)

// observation is what this process tells its operator.
type observation struct {
	registry *prometheus.Registry
	tracing  trace.TracerProvider
	listener net.Listener
	flush    func(context.Context) error
}

// observe prepares metrics and traces. Traces go to the OTLP endpoint that OpenTelemetry's own variables name
// (OTEL_EXPORTER_OTLP_ENDPOINT and those beside it); without one there are none.
func (f MetricsFlags) observe(ctx context.Context) (*observation, error) {
	o := &observation{registry: newRegistry(), tracing: noop.NewTracerProvider(), flush: func(context.Context) error { return nil }}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("export traces: %w", err)
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
		o.tracing, o.flush = provider, provider.Shutdown
	}
	if f.MetricsAddr != "" {
		var err error
		if o.listener, err = listen(ctx, f.MetricsAddr, "--metrics-addr"); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// serve answers /metrics until ctx ends.
func (o *observation) serve(ctx context.Context, log *slog.Logger) error {
	if o.listener == nil {
		<-ctx.Done()
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{}))
	return serveHTTP(ctx, o.listener, mux, log)
}

func (o *observation) close(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := o.flush(ctx); err != nil {
		log.Warn("traces were not flushed", "error", err)
	}
	if o.listener != nil {
		_ = o.listener.Close()
	}
}

// newForeignEvents counts events of other programs that read models passed over.
func newForeignEvents(source *eventstoredb.Source) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "liveness_foreign_events_total",
		Help: "Events of other programs that read models received and passed over, each once while live and once per read model that catches up.",
	}, func() float64 { return float64(source.ForeignEvents()) })
}
