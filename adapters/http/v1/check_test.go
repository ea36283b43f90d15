package v1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

func TestCheckIsAnsweredAndCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var image, format string
	f.judge.does(func(_ context.Context, i []byte, fo string) (domain.Judgement, error) {
		image, format = string(i), fo
		f.clock.Advance(120 * time.Millisecond)
		return domain.Judgement{FakeLikelihood: 0.012, ValidFace: true, Brightness: 142.33, Threshold: 0.15, ModelPack: "test"}, nil
	})
	got := f.check("photo")

	want := `{"metadata":{"date":"2026-11-22T12:34:56.909Z","ver":"1.0.1","customer_id":"` + f.customer.String() +
		`","remaining_calls":999,"over_limit_calls":0,"status":"success"},` +
		`"data":{"isFakeFace":false,"isFakeLikelihood":0.012,"isValidFace":true,"faceBrightness":142.3,"latency_ms":120}}` + "\n"
	if got.Status != 200 || got.Raw != want {
		t.Errorf("%d %s\nwant 200 %s", got.Status, got.Raw, want)
	}
	if image != "photo" || format != "jpeg" {
		t.Errorf("judged %q as %q", image, format)
	}
	counted := f.counted()
	if len(counted) != 1 {
		t.Fatalf("%d calls are counted, want 1", len(counted))
	}
	id := got.Header.Get("X-Request-Id")
	if m := counted[0].Meta; m.CorrelationID.String() != id || m.CausationID == uuid.Nil || m.Actor != domain.ActorAPIClient {
		t.Errorf("event metadata %+v, want %s as correlation", m, id)
	}
	if kind := got.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %s", kind)
	}
}

// Whatever callers call their requests, ours have names of their own: in the answer, in the event and among the failed calls.
func TestCallersDoNotNameOurRequests(t *testing.T) {
	t.Parallel()
	const theirs = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
	for name, header := range map[string][2]string{
		"trace":                  {"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		"id":                     {"X-Request-Id", theirs},
		"id without hyphens":     {"X-Request-Id", strings.ReplaceAll(theirs, "-", "")},
		"id that is no UUID":     {"X-Request-Id", "job-17\"evil"},
		"trace that is not one":  {"Traceparent", "00-0-0-0"},
		"id in curly brackets":   {"X-Request-Id", "{" + theirs + "}"},
		"id of all zeroes":       {"X-Request-Id", uuid.Nil.String()},
		"traces of another kind": {"B3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			seen := map[string]bool{uuid.Nil.String(): true, theirs: true}
			for _, body := range []string{bodyOf("photo"), bodyOf("photo"), "nonsense"} {
				r := f.request(strings.NewReader(body))
				r.Header.Set(header[0], header[1])
				got := f.do(r)
				id := got.Header.Get("X-Request-Id")
				if _, err := uuid.Parse(id); err != nil || seen[id] {
					t.Errorf("X-Request-Id %q is not new", id)
				}
				seen[id] = true
			}
			counted := f.counted()
			if len(counted) != 2 {
				t.Fatalf("%d calls are counted, want 2", len(counted))
			}
			for _, call := range counted {
				if id := call.Meta.CorrelationID.String(); !seen[id] || id == theirs {
					t.Errorf("the event's correlation is %s, which no answer has told", id)
				}
			}
			logged := f.logged.String()
			named := strings.Contains(logged, `"caller_request_id":"4bf92f35`) || strings.Contains(logged, `"caller_request_id":"`+uuid.Nil.String())
			valid := strings.Contains(header[1], "4bf92f35") || header[1] == uuid.Nil.String()
			if named != (valid && header[0] != "B3") || strings.Contains(logged, "evil") {
				t.Errorf("the log names the caller's request: %t\n%s", named, logged)
			}
		})
	}
}

func TestHeadersOfACheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(http.Header)
		status int
		code   string
		known  bool
	}{
		"charset":                 {func(h http.Header) { h.Set("Content-Type", "Application/JSON; charset=UTF-8") }, 200, "", true},
		"no content type":         {func(h http.Header) { h.Del("Content-Type") }, 415, "unsupported_media_type", true},
		"form":                    {func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, "unsupported_media_type", true},
		"JSON lines":              {func(h http.Header) { h.Set("Content-Type", "application/json-seq") }, 415, "unsupported_media_type", true},
		"charset as MySQL has it": {func(h http.Header) { h.Set("Content-Type", `application/json; charset="utf8"`) }, 200, "", true},
		"another charset":         {func(h http.Header) { h.Set("Content-Type", "application/json; charset=utf-16") }, 415, "unsupported_media_type", true},
		"compressed":              {func(h http.Header) { h.Set("Content-Encoding", "gzip") }, 415, "unsupported_media_type", true},
		"no key":                  {func(h http.Header) { h.Del("X-API-Key") }, 401, "invalid_api_key", false},
		"two keys":                {func(h http.Header) { h.Add("X-API-Key", h.Get("X-API-Key")) }, 401, "invalid_api_key", false},
		"malformed key":           {func(h http.Header) { h.Set("X-API-Key", "lc_short") }, 401, "invalid_api_key", false},
		"unknown key":             {func(h http.Header) { h.Set("X-API-Key", "lc_"+strings.Repeat("a", 29)) }, 401, "invalid_api_key", false},
		"no key and no type":      {func(h http.Header) { h.Del("X-API-Key"); h.Del("Content-Type") }, 401, "invalid_api_key", false},
		"idempotency key":         {func(h http.Header) { h.Set("Idempotency-Key", strings.Repeat("k", 255)) }, 200, "", true},
		"empty idempotency key":   {func(h http.Header) { h.Set("Idempotency-Key", "") }, 400, "invalid_request", true},
		"long idempotency key":    {func(h http.Header) { h.Set("Idempotency-Key", strings.Repeat("k", 256)) }, 400, "invalid_request", true},
		"idempotency key, bytes":  {func(h http.Header) { h.Set("Idempotency-Key", "schlüssel") }, 400, "invalid_request", true},
		"two idempotency keys":    {func(h http.Header) { h.Set("Idempotency-Key", "a"); h.Add("Idempotency-Key", "b") }, 400, "invalid_request", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			r := f.request(strings.NewReader(bodyOf("photo")))
			test.change(r.Header)
			got := f.do(r)
			f.want(got, test.status, test.code)
			if known := got.Metadata.CustomerID != nil && got.Metadata.RemainingCalls != nil; known != test.known {
				t.Errorf("the caller is known: %t, want %t: %s", known, test.known, got.Raw)
			}
			if counted, want := len(f.counted()), map[bool]int{true: 1}[test.status == 200]; counted != want {
				t.Errorf("%d calls are counted, want %d", counted, want)
			}
		})
	}
}

func TestBodyIsNotReadBeforeTheCallerIsAdmitted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*fixture, *http.Request)
		code    string
	}{
		"unknown key": {func(_ *fixture, r *http.Request) { r.Header.Set("X-API-Key", "lc_"+strings.Repeat("a", 29)) }, "invalid_api_key"},
		"too large":   {func(_ *fixture, r *http.Request) { r.ContentLength = 20 << 20 }, "image_too_large"},
		"used up":     {func(f *fixture, _ *http.Request) { f.limit(0, domain.OverageStop) }, "quota_exceeded"},
		"ended":       {func(f *fixture, _ *http.Request) { f.end() }, "subscription_inactive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			r := f.request(unreadable{t})
			r.Header.Set("Expect", "100-continue") // so that nothing is drained either
			test.prepare(f, r)
			if got := f.do(r); got.code() != test.code {
				t.Errorf("%d %s, want %s", got.Status, got.Raw, test.code)
			}
			if f.judge.calls.Load() != 0 {
				t.Error("an image was judged")
			}
		})
	}
}

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestARefusedBodyIsDrained(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := bytes.NewReader(make([]byte, 20<<20))
	f.want(f.do(f.request(body)), 413, "image_too_large")
	if body.Len() != 0 {
		t.Errorf("%d bytes are left unread: a client that sends them sees a reset connection and no answer", body.Len())
	}
}

// While the event store hangs, checks that wait for it take all the room. Who finds none is told that the service is unavailable, not that
// too many ask it; the log says why.
func TestAStoreThatHangsIsNoOverload(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	f := newFixture(t, func(c *v1.Config) {
		c.StoreTrouble = func() error {
			if hangs.Load() {
				return errors.New("nobody answers")
			}
			return nil
		}
	})
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		return domain.Judgement{}, domain.ErrOverloaded
	})
	f.want(f.check("photo"), 503, "overloaded")
	hangs.Store(true)
	f.want(f.check("photo"), 503, "service_unavailable")
	f.queue.now.Store(queuePlaces)
	refused := f.check("photo")
	f.want(refused, 503, "service_unavailable")
	if refused.Header.Get("Retry-After") == "" || !strings.Contains(f.logged.String(), "nobody answers") {
		t.Errorf("Retry-After is %q, and the log says %s", refused.Header.Get("Retry-After"), f.logged)
	}
	hangs.Store(false)
	f.want(f.check("photo"), 503, "overloaded")
}

func TestRefusedImagesAreNotCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.want(f.do(f.request(strings.NewReader("not JSON"))), 400, "invalid_request")
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		return domain.Judgement{}, domain.ErrInvalidImage.Saying("No face was detected.")
	})
	got := f.check("landscape")
	f.want(got, 400, "invalid_image")
	if got.Error.Message != "No face was detected." || *got.Metadata.RemainingCalls != 1000 || got.Metadata.Status != "error" {
		t.Errorf("%s", got.Raw)
	}
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		return domain.Judgement{}, domain.ErrOverloaded
	})
	overloaded := f.check("photo")
	f.want(overloaded, 503, "overloaded")
	if overloaded.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q, want 1", overloaded.Header.Get("Retry-After"))
	}
	if n := len(f.counted()); n != 0 {
		t.Errorf("%d calls are counted, want 0", n)
	}
}

// untilDecember is how many seconds there are from the fixture's time to the next month.
const untilDecember = "732304"

func TestQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.limit(2, domain.OverageStop)
	f.want(f.check("1"), 200, "")
	f.want(f.check("2"), 200, "")
	refused := f.check("3")
	f.want(refused, 429, "quota_exceeded")
	if *refused.Metadata.RemainingCalls != 0 || *refused.Metadata.OverLimitCalls != 0 || refused.Header.Get("Retry-After") != untilDecember {
		t.Errorf("%s, Retry-After %q", refused.Raw, refused.Header.Get("Retry-After"))
	}
	f.limit(2, domain.OverageContinue)
	over := f.check("4")
	f.want(over, 200, "")
	if *over.Metadata.RemainingCalls != 0 || *over.Metadata.OverLimitCalls != 1 {
		t.Errorf("%s, want 1 call over the limit, this one included", over.Raw)
	}
	usage := f.get(v1.PathUsage)
	f.want(usage, 200, "")
	if diff := cmp.Diff(map[string]any{
		"month": "2026-11", "calls": 3., "remaining_calls": 0., "over_limit_calls": 1., "plan": "Starter", "limit": 2.,
		"over_limit_behavior": "continue", "over_limit_ceiling": nil, "resets_at": "2026-12-01T00:00:00.000Z",
	}, usage.Data); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestACeilingOfCallsBeyondThePlan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.limit(1, domain.OverageContinue)
	ceiling := int64(2)
	if _, err := (subscriptions.Commands{Executor: f.accounts.Executor}).SwitchOverage(t.Context(), subscriptions.SwitchOverage{
		By: commands.NewOrigin(domain.ActorUser), SubscriptionID: f.id, To: domain.OverageContinue, Ceiling: &ceiling,
	}); err != nil {
		t.Fatal(err)
	}
	for _, photo := range []string{"1", "2", "3"} {
		f.want(f.check(photo), 200, "")
	}
	refused := f.check("4")
	f.want(refused, 429, "quota_exceeded")
	if *refused.Metadata.RemainingCalls != 0 || *refused.Metadata.OverLimitCalls != 2 || !strings.Contains(refused.Error.Message, "ceiling of 2 calls") {
		t.Errorf("%s", refused.Raw)
	}
	usage := f.get(v1.PathUsage)
	f.want(usage, 200, "")
	if usage.Data["over_limit_behavior"] != "continue" || usage.Data["over_limit_ceiling"] != 2. || usage.Data["over_limit_calls"] != 2. {
		t.Errorf("usage: %s", usage.Raw)
	}
	f.limit(3, domain.OverageContinue)
	f.want(f.check("5"), 200, "")
	if usage := f.get(v1.PathUsage); usage.Data["over_limit_ceiling"] != nil {
		t.Errorf("a ceiling that was given up is told: %s", usage.Raw)
	}
}

func TestEndedSubscription(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.end()
	f.want(f.check("1"), 403, "subscription_inactive")
	f.want(f.get(v1.PathUsage), 403, "subscription_inactive")
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	send := func(image string) reply {
		r := f.request(strings.NewReader(bodyOf(image)))
		r.Header.Set("Idempotency-Key", "order 17")
		return f.do(r)
	}
	first := send("photo")
	f.want(first, 200, "")
	f.want(f.check("in between"), 200, "")
	again := send("photo")
	f.want(again, 200, "")
	if diff := cmp.Diff(first.Data, again.Data); diff != "" || *again.Metadata.RemainingCalls != *first.Metadata.RemainingCalls {
		t.Errorf("the second answer is not the first: %s\n%s", first.Raw, again.Raw)
	}
	f.want(send("another photo"), 409, "idempotency_conflict")
	if counted, judged := len(f.counted()), f.judge.calls.Load(); counted != 2 || judged != 2 {
		t.Errorf("%d calls are counted, %d judged; want 2", counted, judged)
	}
}

// What is not asked for is not said: the answer without details stays what it was, byte for byte.
func TestDetails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	judged := domain.Judgement{
		FakeLikelihood: 0.012, Brightness: 142.33, Threshold: 0.15, ModelPack: "test", ModelPackHash: "hash",
		Faces: 2, Box: domain.FaceBox{X: -3, Y: 12, Width: 186, Height: 266}, Rotated: 90, Issues: domain.NewIssues(domain.IssueTooDark),
	}
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) { return judged, nil })
	send := func(image, key, details string) reply {
		r := f.request(strings.NewReader(strings.Replace(bodyOf(image), "{", "{"+details, 1)))
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		got := f.do(r)
		f.want(got, 200, "")
		return got
	}
	data := func(r reply) string {
		_, text, _ := strings.Cut(r.Raw, `"data":`)
		return strings.TrimSpace(text)
	}
	const plain = `{"isFakeFace":false,"isFakeLikelihood":0.012,"isValidFace":false,"faceBrightness":142.3,"latency_ms":0}}`
	const detailed = `{"isFakeFace":false,"isFakeLikelihood":0.012,"isValidFace":false,"faceBrightness":142.3,"latency_ms":0,` +
		`"details":{"faces":2,"box":{"x":-3,"y":12,"width":186,"height":266},"rotated":90,` +
		`"issues":[{"code":"too_dark","message":"The face is too dark. Find more light."}],"modelPack":"test","threshold":0.15}}}`
	for details, want := range map[string]string{"": plain, `"details": false, `: plain, `"details": true, `: detailed} {
		if got := data(send("photo", "", details)); got != want {
			t.Errorf("%q: %s, want %s", details, got, want)
		}
	}
	// Details change what is said and not what is judged: with an Idempotency-Key it is the same request, whose first answer
	// stands although the judge would say something else by now.
	first := send("keyed", "k", "")
	judged = domain.Judgement{FakeLikelihood: 0.9, Threshold: 0.5}
	if got := data(send("keyed", "k", `"details": true, `)); got != detailed {
		t.Errorf("a repetition that asks for details: %s, want %s", got, detailed)
	}
	if again := send("keyed", "k", ""); data(again) != data(first) {
		t.Errorf("a repetition: %s, want %s", again.Raw, first.Raw)
	}
}

// A face without a fault has no issues: an empty list, not null.
func TestDetailsOfAValidFace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := f.do(f.request(strings.NewReader(strings.Replace(bodyOf("photo"), "{", `{"details":true,`, 1))))
	f.want(got, 200, "")
	if !strings.Contains(got.Raw, `"issues":[]`) {
		t.Errorf("%s, want an empty list of issues", got.Raw)
	}
}

// What means the same format is the same request.
func TestFormatsAreTheSameRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, format := range []string{"jpeg", "jpg", "JPEG", "JPG", "image/jpeg"} {
		r := f.request(strings.NewReader(strings.Replace(bodyOf("photo"), `"jpeg"`, `"`+format+`"`, 1)))
		r.Header.Set("Idempotency-Key", "k")
		f.want(f.do(r), 200, "")
	}
	r := f.request(strings.NewReader(strings.Replace(bodyOf("photo"), `"jpeg"`, `"PNG"`, 1)))
	r.Header.Set("Idempotency-Key", "k")
	f.want(f.do(r), 409, "idempotency_conflict")
	if counted := len(f.counted()); counted != 1 {
		t.Errorf("%d calls are counted, want 1", counted)
	}
}

func TestDuplicateInFlightWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	judging, proceed := make(chan struct{}), make(chan struct{})
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		close(judging) // a second call panics
		<-proceed
		return domain.Judgement{FakeLikelihood: 0.5}, nil
	})
	send := func() reply {
		r := f.request(strings.NewReader(bodyOf("photo")))
		r.Header.Set("Idempotency-Key", "k")
		return f.do(r)
	}
	replies := make(chan reply, 2)
	go func() { replies <- send() }()
	<-judging
	go func() { replies <- send() }()
	close(proceed)
	a, b := <-replies, <-replies
	if a.Status != 200 || b.Status != 200 || !cmp.Equal(a.Data, b.Data) || len(f.counted()) != 1 {
		t.Errorf("%s\n%s\n%d counted, want 1", a.Raw, b.Raw, len(f.counted()))
	}
}

func TestUnwritableStore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	broken := errors.New("codec is broken")
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		f.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.Conflict })
		return domain.Judgement{}, broken
	})
	got := f.check("photo")
	f.want(got, 503, "service_unavailable")
	if got.Header.Get("Retry-After") == "" || strings.Contains(got.Raw, broken.Error()) || !strings.Contains(f.logged.String(), broken.Error()) {
		t.Errorf("%s; the cause belongs into the log, and only there", got.Raw)
	}
	f.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	f.want(f.get(v1.PathUsage), 503, "service_unavailable")
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) { panic("secret detail") })
	got := f.check("photo")
	f.want(got, 500, "internal_error")
	if strings.Contains(got.Raw, "secret detail") || !strings.Contains(f.logged.String(), "secret detail") {
		t.Errorf("%s; the panic belongs into the log, and only there", got.Raw)
	}
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) { return domain.Judgement{}, nil })
	f.want(f.check("photo"), 200, "") // places and turns were given back
}

func TestRegeneratedKeyIsDead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.key
	f.want(f.check("1"), 200, "")
	f.key = f.regenerate()
	f.clock.Advance(commands.MaxStaleness) // the command has waited that long
	f.want(f.check("2"), 200, "")
	f.key = old
	f.want(f.check("3"), 401, "invalid_api_key")
}

// uploadDuring runs something while the body is on its way.
type uploadDuring struct {
	io.Reader
	once   sync.Once
	happen func()
}

func (u *uploadDuring) Read(p []byte) (int, error) {
	u.once.Do(u.happen)
	return u.Reader.Read(p)
}

// A check is refused when what it was admitted on has ended before it is counted, however long its body or its judge took.
func TestWhatEndsDuringACheckRefusesIt(t *testing.T) {
	t.Parallel()
	regenerate := func(f *fixture) {
		f.regenerate()
		f.clock.Advance(commands.MaxStaleness) // the command has waited that long
	}
	for name, test := range map[string]struct {
		happen func(*fixture)
		code   string
		status int
	}{
		"the key is regenerated": {regenerate, "invalid_api_key", 401},
		"the subscription ends":  {func(f *fixture) { f.end(); f.clock.Advance(commands.MaxStaleness) }, "subscription_inactive", 403},
		"the last place is gone": {func(f *fixture) { f.limit(0, domain.OverageStop); f.clock.Advance(commands.MaxStaleness) }, "quota_exceeded", 429},
	} {
		t.Run(name+" during the upload", func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			got := f.do(f.request(&uploadDuring{Reader: strings.NewReader(bodyOf("photo")), happen: func() { test.happen(f) }}))
			f.want(got, test.status, test.code)
			if known := got.Metadata.CustomerID != nil || got.Metadata.RemainingCalls != nil; known != (test.status != 401) {
				t.Errorf("%s: who holds a dead key is told about its owner, or the owner is not", got.Raw)
			}
			if counted, judged := len(f.counted()), f.judge.calls.Load(); counted != 0 || test.status == 401 && judged != 0 {
				t.Errorf("%d calls are counted and %d images judged, want none", counted, judged)
			}
		})
		t.Run(name+" while the image is judged", func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
				test.happen(f)
				return domain.Judgement{ValidFace: true}, nil
			})
			f.want(f.check("photo"), test.status, test.code)
			if counted := len(f.counted()); counted != 0 {
				t.Errorf("%d calls are counted, want none", counted)
			}
		})
	}
}

// Over a connection, as uploads trickle in: the old key is refused by the answer to its own request, and the new one works.
func TestAKeyRegeneratedDuringATrickle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.handler)
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	body := bodyOf(strings.Repeat("photo", 10_000))
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		v1.PathCheck, f.key, len(body), body[:len(body)/2])
	f.want(f.check("another"), 200, "") // the key is good, and what is under way was admitted with it
	f.key = f.regenerate()
	f.clock.Advance(commands.MaxStaleness)
	if _, err := io.WriteString(connection, body[len(body)/2:]); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if text, err := io.ReadAll(answer.Body); answer.StatusCode != http.StatusUnauthorized || err != nil || !bytes.Contains(text, []byte(`"invalid_api_key"`)) {
		t.Errorf("%s %s, %v", answer.Status, text, err)
	}
	f.want(f.check("one more"), 200, "")
	if n := len(f.counted()); n != 2 {
		t.Errorf("%d calls are counted, want 2", n)
	}
}

func TestARegeneratedKeyGetsNoFirstAnswerAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	send := func(body io.Reader) reply {
		r := f.request(body)
		r.Header.Set("Idempotency-Key", "order 17")
		return f.do(r)
	}
	f.want(send(strings.NewReader(bodyOf("photo"))), 200, "")
	f.want(send(&uploadDuring{Reader: strings.NewReader(bodyOf("photo")), happen: func() {
		f.regenerate()
		f.clock.Advance(commands.MaxStaleness)
	}}), 401, "invalid_api_key")
}

func TestLogHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.request(strings.NewReader(bodyOf("a very private photo")))
	r.Header.Set("Idempotency-Key", "my-private-key")
	r.Header.Set("User-Agent", "private agent")
	f.want(f.do(r), 200, "")
	f.want(f.do(f.request(strings.NewReader("private nonsense"))), 400, "invalid_request")
	log := f.logged.String()
	if strings.Contains(log, f.key) || regexp.MustCompile(`private|192\.0\.2\.1`).MatchString(log) {
		t.Errorf("the log says too much: %s", log)
	}
	if !strings.Contains(log, f.key[:domain.KeyVisibleLength]) || strings.Count(log, "\n") != 2 {
		t.Errorf("want one line per request, with the key's prefix: %s", log)
	}
}

// A check that would find no place is refused before its photo is sent, and component inference is down for as long.
func TestFullQueueRefusesBeforeTheUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.want(f.check("1"), 200, "")
	refused := func() {
		t.Helper()
		r := f.request(unreadable{t})
		r.Header.Set("Expect", "100-continue") // so that nothing is drained either
		got := f.do(r)
		f.want(got, 503, "overloaded")
		if got.Header.Get("Retry-After") != "1" || got.Metadata.RemainingCalls == nil || *got.Metadata.RemainingCalls != 999 {
			t.Errorf("Retry-After %q: %s", got.Header.Get("Retry-After"), got.Raw)
		}
	}
	component := func(want string) {
		t.Helper()
		f.clock.Advance(2 * time.Second) // a report stands for a moment
		got := f.do(httptest.NewRequest(http.MethodGet, v1.PathHealth, nil))
		if !strings.Contains(got.Raw, `"inference":{"status":"`+want+`"}`) {
			t.Errorf("%s, want inference to be %s", got.Raw, want)
		}
	}
	component("up")
	f.queue.now.Store(queuePlaces)
	refused()
	component("down")
	f.queue.now.Store(queuePlaces - 1)
	f.want(f.check("2"), 200, "")
	component("up")
	if n := len(f.counted()); n != 2 {
		t.Errorf("%d calls are counted, want 2", n)
	}
}

// The answer leaves before the photo has arrived.
func TestOverloadIsAnsweredBeforeTheUploadEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.queue.now.Store(queuePlaces)
	server := httptest.NewServer(f.handler)
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", v1.PathCheck, f.key)
	if err := connection.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil { // less than what is left of the body is waited for
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	_ = answer.Body.Close()
}

// Uploads are bounded by themselves and take no place in the queue.
func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	const uploads = 3
	f := newFixture(t, func(c *v1.Config) { c.Limits = v1.Limits{InFlight: uploads} })
	f.queue.now.Store(queuePlaces - 1)
	sources := make([]*io.PipeWriter, queuePlaces+uploads)
	replies := make(chan reply, len(sources))
	for i := range sources {
		source, client := io.Pipe()
		sources[i] = client
		go func() { replies <- f.do(f.request(source)) }()
		if _, err := client.Write([]byte("{")); err != nil { // returns once the upload is read: it is admitted
			t.Fatal(err)
		}
	}
	f.want(f.check("1"), 503, "overloaded")
	for _, source := range sources {
		source.CloseWithError(errors.New("gone"))
		f.want(<-replies, 400, "invalid_request")
	}
	f.want(f.check("2"), 200, "")
}

// slowUpload takes an hour of the fixture's clock to arrive.
type slowUpload struct {
	io.Reader
	clock *commandstest.Clock
}

func (u slowUpload) Read(p []byte) (int, error) {
	u.clock.Advance(time.Hour)
	return u.Reader.Read(p)
}

func TestLatencyIsWithoutTheUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
		f.clock.Advance(90 * time.Millisecond)
		return domain.Judgement{ValidFace: true, Threshold: 0.15, ModelPack: "test"}, nil
	})
	got := f.do(f.request(slowUpload{strings.NewReader(bodyOf("photo")), f.clock}))
	f.want(got, 200, "")
	if latency := got.Data["latency_ms"]; latency != 90.0 {
		t.Errorf("latency_ms is %v, want 90", latency)
	}
}

func TestCallerThatLeaves(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	f.judge.does(func(ctx context.Context, _ []byte, _ string) (domain.Judgement, error) {
		cancel()
		<-ctx.Done()
		return domain.Judgement{}, ctx.Err()
	})
	got := f.do(f.request(strings.NewReader(bodyOf("photo"))).WithContext(ctx))
	f.want(got, 499, "client_closed_request")
	if n := len(f.counted()); n != 0 {
		t.Errorf("%d calls are counted", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	f := newFixture(b, func(c *v1.Config) {
		c.Limits = v1.Limits{KeyRate: 1e9, KeyBurst: 1e9, AddressRate: 1e9, AddressBurst: 1e9}
	})
	f.fixedOwner()
	body := bodyOf(strings.Repeat("photo", 20_000))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		recorder := httptest.NewRecorder()
		f.handler.ServeHTTP(recorder, f.request(strings.NewReader(body)))
		if recorder.Code != 200 {
			b.Fatal(recorder.Body)
		}
	}
}
