package v1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// exchange is one request and what becomes known about it.
type exchange struct {
	api     *API
	writer  http.ResponseWriter
	request *http.Request
	body    *trackedBody
	route   string
	id      uuid.UUID // ours, never the caller's: correlation id of what is recorded, X-Request-Id of the answer

	callerID string // the caller's own name of the request, for the log; a UUID or a trace id, "" when it sent none

	known     bool // owner is set
	owner     counting.KeyOwner
	keyPrefix string // the part of the key that may be seen
	quota     *quota // nil when not known

	reservation *counting.Reservation // of a check that was admitted

	status  int
	code    string // of the refusal, "" on success
	message string // of the refusal
	failed  error  // why it was refused, for the log
}

// answer is the `data` of a successful answer, or a bare one.
type answer any

// bare is an answer without the envelope.
type bare struct{ body any }

// handler works on a request. Errors become answers in one place.
type handler func(*exchange) (answer, error)

// methods are the handlers of one address.
type methods map[string]handler

func (a *API) handle(router *mux.Router, path string, byMethod methods) {
	allowed := []string{http.MethodOptions}
	for method := range byMethod {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	served := a.serve(path, func(x *exchange) (answer, error) {
		if work, ok := byMethod[x.request.Method]; ok {
			return work(x)
		}
		x.writer.Header().Set("Allow", allow)
		return nil, problem.ErrMethodNotAllowed
	})
	router.Path(path).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			w.Header().Set("Allow", allow)
			w.Header().Set("X-Request-Id", uuid.NewString())
			w.WriteHeader(http.StatusNoContent)
			return
		}
		served.ServeHTTP(w, r)
	})
}

// serve surrounds a handler with what every request gets: an id, a span, metrics, a line in the log, and one answer.
func (a *API) serve(route string, work handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{api: a, writer: w, route: route}
		ctx, span := x.startSpan(r)
		defer func() { x.endSpan(span) }()
		// A copy of the request: a wrapper in the original would hide from net/http what it knows about the body.
		x.request = r.WithContext(ctx)
		x.body = &trackedBody{ReadCloser: r.Body}
		x.request.Body = x.body
		w.Header().Set("X-Request-Id", x.id.String())

		began := time.Now() // elapsed times are measured on the monotonic clock, whatever a.now is
		a.metrics.inFlight.Inc()
		defer func() {
			a.metrics.inFlight.Dec()
			a.metrics.observe(x, time.Since(began))
			x.log(time.Since(began))
			x.noteFailure()
		}()
		data, err := x.run(work)
		if err != nil {
			x.refuse(err)
			return
		}
		x.writeData(data)
	})
}

// run turns a panic of the handler into an error that ends up in the log with its stack.
func (x *exchange) run(work handler) (data answer, err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return work(x)
}

// refuse answers with an error and, to a caller that is known, how it stands.
func (x *exchange) refuse(err error) {
	err = x.unavailable(x.gaveWay(err))
	x.failed = err
	p := problem.Of(err).In(words)
	x.noteAttack(p)
	if p.Code == problem.CodeInternal && x.reservation != nil && x.reservation.HandedOver() {
		p.Message = perhapsCounted
	}
	if x.known && x.quota == nil {
		x.quota = x.findQuota()
	}
	if p.Code == domain.ErrQuotaExceeded.Code {
		now := x.api.now()
		p.RetryAfter = domain.MonthOf(now).End().Sub(now)
	}
	// Who is told to come back later shall not have to send a photo of megabytes first.
	if !x.known || errors.Is(err, domain.ErrOverloaded) && !x.body.touched {
		x.refuseAtOnce(p)
		return
	}
	x.drain()
	x.writeProblem(p)
}

// refuseAtOnce answers before anything of the body is read. Only then is it taken in: most clients send all of it before
// they look for an answer.
func (x *exchange) refuseAtOnce(p problem.Problem) {
	if x.request.ContentLength == 0 {
		x.writeProblem(p)
		return
	}
	control := http.NewResponseController(x.writer)
	// Where these are not supported, as in a recorder of httptest, the answer leaves when the handler returns.
	_ = control.EnableFullDuplex()
	x.writer.Header().Set("Connection", "close")
	x.writeProblem(p)
	_ = control.Flush()
	x.drain()
}

// quotaTimeout is how long an error waits for the counts that accompany it.
const quotaTimeout = 500 * time.Millisecond

// findQuota returns how the caller stands, from memory or, the first time, from the log; nil when that takes too long.
func (x *exchange) findQuota() *quota {
	if last, ok := x.api.checks.LastQuota(x.owner); ok {
		return quotaOf(last)
	}
	ctx, cancel := context.WithTimeout(x.request.Context(), quotaTimeout)
	defer cancel()
	current, err := x.api.checks.Quota(ctx, x.owner)
	if err != nil {
		return nil
	}
	return quotaOf(current)
}

const (
	drainLimit   = 32 << 20
	drainTimeout = 10 * time.Second
)

// drain reads what is left of the body. A client that is still sending would otherwise find the connection reset and
// never see why it was refused. Who asked whether to send (Expect: 100-continue) is told not to, by the answer itself.
func (x *exchange) drain() {
	if !x.body.touched && strings.EqualFold(x.request.Header.Get("Expect"), "100-continue") {
		return
	}
	until := time.Now().Add(drainTimeout)
	for left := int64(drainLimit); left > 0 && time.Now().Before(until); {
		n, err := io.CopyN(io.Discard, x.body, min(left, 64<<10))
		if err != nil {
			return
		}
		left -= n
	}
}

// trackedBody knows whether the body was asked for.
type trackedBody struct {
	io.ReadCloser
	touched bool
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.touched = true
	return b.ReadCloser.Read(p)
}

// authenticate finds out who calls, before anything is read or done for the request.
func (x *exchange) authenticate() error {
	if err := x.api.throttle.takeAddress(x.request, x.writer.Header()); err != nil {
		return err
	}
	keys := x.request.Header.Values("X-API-Key")
	if len(keys) != 1 {
		return domain.ErrInvalidAPIKey
	}
	owner, err := x.api.keys.AuthenticateKey(x.request.Context(), keys[0])
	if err != nil {
		return err
	}
	x.owner, x.known, x.keyPrefix = owner, true, keys[0][:min(len(keys[0]), domain.KeyVisibleLength)]
	fairshare.From(x.request.Context()).BelongsTo(holderOf(x.share()))
	return x.api.throttle.takeKey(owner, x.writer.Header())
}

// confirm returns whether the key that was sent still is its owner's. It costs a look into memory while what is known of the
// key is fresh. A key that is dead by now is nobody's, so that its holder is not told how the owner stands.
func (x *exchange) confirm(ctx context.Context) error {
	_, err := x.api.keys.AuthenticateKey(ctx, x.request.Header.Get("X-API-Key"))
	if errors.Is(err, domain.ErrInvalidAPIKey) {
		x.known, x.quota = false, nil
	}
	return err
}

// isInternal returns whether an error is a fault of ours rather than a refusal.
func isInternal(err error) bool {
	return domain.KindOf(err) == "" && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
