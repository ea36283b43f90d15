package v1_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// notes keeps what it is told of.
type notes struct {
	mu    sync.Mutex
	calls []counting.FailedCall
	keys  []string
}

func (n *notes) Note(call counting.FailedCall, key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls, n.keys = append(n.calls, call), append(n.keys, key)
}

// last returns what was noted since it was asked before: nothing, or one call.
func (n *notes) last(t *testing.T) (call counting.FailedCall, key string, noted bool) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	switch len(n.calls) {
	case 0:
		return call, "", false
	case 1:
		call, key = n.calls[0], n.keys[0]
		n.calls, n.keys = nil, nil
		return call, key, true
	}
	t.Fatalf("%d calls were noted of one request", len(n.calls))
	return call, "", false
}

// Every answer that is no result is noted for the customer whose key it is, with what the caller was told, and nothing else.
func TestFailuresAreNoted(t *testing.T) {
	t.Parallel()
	refuse := func(err error) func(*fixture) {
		return func(f *fixture) {
			f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) { return domain.Judgement{}, err })
		}
	}
	for _, test := range []struct {
		name    string
		prepare func(*fixture)
		body    string
		status  int
		code    string
	}{
		{"no JSON", func(*fixture) {}, "{", 400, "invalid_request"},
		{"no image", func(*fixture) {}, `{"image": "!", "image_format": "jpeg"}`, 400, "invalid_image"},
		{"no face", refuse(domain.ErrInvalidImage.Saying("No face was detected.")), bodyOf("x"), 400, "invalid_image"},
		{"overloaded", refuse(domain.ErrOverloaded), bodyOf("x"), 503, "overloaded"},
		{"a fault of ours", refuse(errors.New("secret detail")), bodyOf("x"), 503, "service_unavailable"},
		{"too large", func(*fixture) {}, bodyOf(strings.Repeat("x", 11<<20)), 413, "image_too_large"},
		{"inactive", (*fixture).end, bodyOf("x"), 403, "subscription_inactive"},
	} {
		noted := &notes{}
		f := newFixture(t, func(c *v1.Config) { c.Failures = noted })
		test.prepare(f)
		got := f.do(f.request(strings.NewReader(test.body)))
		f.want(got, test.status, test.code)
		call, key, ok := noted.last(t)
		want := counting.FailedCall{
			At: f.clock.Now(), RequestID: uuid.MustParse(got.Header.Get("X-Request-Id")), Status: test.status, Code: test.code, Message: got.Error.Message,
			CustomerID: f.customer, KeySlot: domain.SlotPrimary, KeyPrefix: f.key[:8],
		}
		if !ok || call != want || key != "" {
			t.Errorf("%s: noted is %+v with the key %q (%v), want %+v", test.name, call, key, ok, want)
		}
	}
}

// Of a caller who is not known the key is handed on, to find out whose it was; of one without a key nothing is noted, nor of
// what succeeded.
func TestFailuresOfUnknownCallers(t *testing.T) {
	t.Parallel()
	noted := &notes{}
	f := newFixture(t, func(c *v1.Config) { c.Failures = noted })
	f.want(f.check("x"), 200, "")
	f.want(f.get(v1.PathUsage), 200, "")
	if call, _, ok := noted.last(t); ok {
		t.Errorf("a success is noted: %+v", call)
	}
	old := f.key
	f.regenerate()
	f.clock.Advance(time.Second)
	f.want(f.check("x"), 401, "invalid_api_key")
	if call, key, ok := noted.last(t); !ok || key != old || call.Status != 401 || call.CustomerID != uuid.Nil || call.KeyPrefix != "" {
		t.Errorf("of a replaced key is noted %+v with %q (%v)", call, key, ok)
	}
	for name, change := range map[string]func(*http.Request){
		"without a key": func(r *http.Request) { r.Header.Del("X-API-Key") },
		"with two keys": func(r *http.Request) { r.Header.Add("X-API-Key", old) },
	} {
		r := f.request(strings.NewReader(bodyOf("x")))
		change(r)
		f.want(f.do(r), 401, "invalid_api_key")
		if call, _, ok := noted.last(t); ok {
			t.Errorf("%s is noted: %+v", name, call)
		}
	}
	f.do(httptest.NewRequest(http.MethodGet, v1.PathHealth, nil))
	f.get("/v1/nothing")
	if call, _, ok := noted.last(t); ok {
		t.Errorf("health or an unknown address is noted: %+v", call)
	}
}
