package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/time/rate"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands/tracing"
)

// observation is what this process tells its operator.
type observation struct {
	registry *prometheus.Registry
	tracing  trace.TracerProvider
	listener net.Listener
	flush    func(context.Context) error
}

// observe prepares metrics and traces for a role. Traces go to the OTLP endpoint that OpenTelemetry's own variables name
// (OTEL_EXPORTER_OTLP_ENDPOINT and those beside it); without one there are none.
func (f MetricsFlags) observe(ctx context.Context, role string, log *slog.Logger) (*observation, error) {
	o := &observation{registry: newRegistry(), tracing: noop.NewTracerProvider(), flush: func(context.Context) error { return nil }}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		provider, err := exportTraces(ctx, role, log)
		if err != nil {
			return nil, err
		}
		o.tracing, o.flush = provider, provider.Shutdown
		tracing.Install(provider)
	}
	if f.MetricsAddr != "" {
		var err error
		if o.listener, err = listen(ctx, f.MetricsAddr, "--metrics-addr"); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// exportTraces returns what sends spans. They say which role of the product they come from, unless OTEL_SERVICE_NAME or
// OTEL_RESOURCE_ATTRIBUTES say otherwise; what becomes of sending them stands in the log.
func exportTraces(ctx context.Context, role string, log *slog.Logger) (*sdktrace.TracerProvider, error) {
	seldom := rate.Sometimes{First: 1, Interval: time.Minute}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		seldom.Do(func() { log.Warn("traces cannot be sent", "error", err) })
	}))
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	origin, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "liveness-"+role), attribute.String("service.version", apiVersion)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("say where traces come from: %w", err)
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithIDGenerator(tracing.IDs{}), sdktrace.WithResource(origin)), nil
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

// registerOnce registers collectors, but for those of what all roles tell alike that another role of this process has registered.
func registerOnce(metrics prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, collector := range collectors {
		err := metrics.Register(collector)
		if known := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &known) {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// newForeignEvents counts events of other programs that read models passed over.
func newForeignEvents(source *eventstoredb.Source) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "liveness_foreign_events_total",
		Help: "Events of other programs that read models received and passed over, each once while live and once per read model that catches up.",
	}, func() float64 { return float64(source.ForeignEvents()) })
}
