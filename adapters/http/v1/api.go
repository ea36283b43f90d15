// Package v1 is the HTTP API that customers call: POST /v1/check/liveness, GET /v1/usage,
// GET /v1/health and GET /v1/ready.
//
// The order of work on a check is the order of what it costs: the bucket of the address, the key, the bucket of the key,
// the headers, whether there is room, the Idempotency-Key, the quota; only then is the body read, and only a whole image
// takes a place in the queue: a slow upload keeps nobody else waiting. Room (connections, checks under way, memory, the queue)
// is divided fairly between subscriptions; see fairshare.
package v1

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// The addresses of the API.
const (
	PathCheck  = "/v1/check/liveness"
	PathUsage  = "/v1/usage"
	PathHealth = "/v1/health"
	PathReady  = "/v1/ready"
)

// Authenticator finds the owner of an API key, or fails with domain.ErrInvalidAPIKey. It is asked for every request.
type Authenticator interface {
	AuthenticateKey(ctx context.Context, key string) (counting.KeyOwner, error)
}

// Checker judges and counts, as counting.LivenessChecker does. The image of a check is not to be used after Check has
// returned: its memory serves the next request.
type Checker interface {
	Begin(ctx context.Context, owner counting.KeyOwner, idempotencyKey string) (*counting.Reservation, error)
	Check(ctx context.Context, reservation *counting.Reservation, cmd counting.CheckLiveness) (domain.CheckCompleted, error)
	Quota(ctx context.Context, owner counting.KeyOwner) (counting.Quota, error)
	LastQuota(owner counting.KeyOwner) (counting.Quota, bool)
}

// Config is what an API is built from. Fields are required unless they say otherwise.
type Config struct {
	Version        string // `ver` of every answer
	Keys           Authenticator
	Checks         Checker
	Catalogue      domain.Catalogue // names of the plans
	Queue          Queue            // health reports it as the component inference: down while it is full
	Failures       Failures         // what was not answered with a result; forgotten when it is nil
	Components     []Component      // what health reports besides; may be empty
	StoreTrouble   func() error     // why the event store keeps checks waiting, nil while it does not; may be nil
	Limits         Limits           // zero fields get their defaults
	TrustedProxies []netip.Prefix   // whose X-Forwarded-For is believed; none by default
	Now            func() time.Time
	Log            *slog.Logger
	Registerer     prometheus.Registerer // metrics are not registered when it is nil
	Tracing        trace.TracerProvider  // no spans when it is nil
	ErrorDocs      string                // address that the page about an error's code begins with; errors name none when it is ""
	Security       *securitylog.Log      // what may be an attack is forgotten when it is nil
}

// API serves the addresses of the API. It answers every request in the API's own form, also those to unknown addresses.
type API struct {
	version   string
	keys      Authenticator
	checks    Checker
	plans     domain.Catalogue
	limits    Limits
	now       func() time.Time
	log       *slog.Logger
	failures  Failures
	security  *securitylog.Log
	bodies    *checkbody.Reader
	throttle  *throttle
	gate      *gate
	trouble   func() error // of the event store
	health    *health
	metrics   *metrics
	tracer    trace.Tracer
	errorDocs string
	router    *mux.Router
}

// New builds the API, or says what is missing.
func New(c Config) (*API, error) {
	if c.Version == "" || c.Keys == nil || c.Checks == nil || c.Queue == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("the API needs Version, Keys, Checks, Queue, Now and Log")
	}
	if c.Failures == nil {
		c.Failures = noFailures{}
	}
	if c.Tracing == nil {
		c.Tracing = noop.NewTracerProvider()
	}
	_, places := c.Queue.Admitted()
	limits := c.Limits.withDefaults(places)
	if c.StoreTrouble == nil {
		c.StoreTrouble = func() error { return nil }
	}
	throttle, err := newThrottle(limits, c.TrustedProxies, c.Now)
	if err != nil {
		return nil, err
	}
	memory := checkbody.NewMemory(limits.MaxImage, limits.ImageMemory)
	gate := newGate(c.Queue, limits.InFlight)
	metrics, err := newMetrics(c.Registerer, gate, memory, limits)
	if err != nil {
		return nil, err
	}
	a := &API{
		version: c.Version, keys: c.Keys, checks: c.Checks, plans: c.Catalogue, limits: limits, now: c.Now, log: c.Log, failures: c.Failures, security: c.Security,
		bodies: checkbody.NewReader(memory), throttle: throttle, gate: gate, metrics: metrics, trouble: c.StoreTrouble, errorDocs: c.ErrorDocs,
		health: newHealth(c.Version, append(slices.Clip(c.Components), gate.component()), c.Now, c.Log), tracer: c.Tracing.Tracer("github.com/pas-ta/liveness/adapters/http/v1"),
	}
	a.router = a.routes()
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// Refusal answers requests for which the server has no room, before anything of them is looked at.
func (a *API) Refusal() http.Handler {
	return a.serve(routeOther, func(*exchange) (answer, error) { return nil, domain.ErrOverloaded })
}

// ComponentMetrics returns what health says of each component, for Prometheus.
func (a *API) ComponentMetrics() prometheus.Collector { return a.health }

// routeOther stands for every unknown address.
const routeOther = "other"

func (a *API) routes() *mux.Router {
	// Without SkipClean a doubled slash would be answered with a redirect in HTML.
	router := mux.NewRouter().SkipClean(true)
	a.handle(router, PathCheck, methods{http.MethodPost: a.check})
	a.handle(router, PathUsage, methods{http.MethodGet: a.usage, http.MethodHead: a.usage})
	a.handle(router, PathHealth, methods{http.MethodGet: a.reportHealth, http.MethodHead: a.reportHealth})
	a.handle(router, PathReady, methods{http.MethodGet: reportReady, http.MethodHead: reportReady})
	router.NotFoundHandler = a.serve(routeOther, func(*exchange) (answer, error) { return nil, problem.ErrNotFound })
	return router
}
