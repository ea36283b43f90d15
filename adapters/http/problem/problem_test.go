package problem_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/domain"
)

func TestStatusOfEveryCode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		status int
		code   string
	}{
		{domain.ErrInvalidRequest, 400, "invalid_request"},
		{domain.Invalid("image", "x"), 400, "invalid_request"},
		{domain.ErrInvalidImage, 400, "invalid_image"},
		{domain.ErrInvalidAPIKey, 401, "invalid_api_key"},
		{domain.ErrSubscriptionInactive, 403, "subscription_inactive"},
		{problem.ErrNotFound, 404, "not_found"},
		{problem.ErrMethodNotAllowed, 405, "method_not_allowed"},
		{problem.ErrRequestTimeout, 408, "request_timeout"},
		{domain.ErrIdempotencyConflict, 409, "idempotency_conflict"},
		{domain.ErrImageTooLarge, 413, "image_too_large"},
		{domain.ErrUnsupportedMedia, 415, "unsupported_media_type"},
		{domain.ErrQuotaExceeded, 429, "quota_exceeded"},
		{domain.ErrRateLimited, 429, "rate_limited"},
		{domain.ErrOverloaded, 503, "overloaded"},
		{domain.ErrUnavailable, 503, "service_unavailable"},
		{context.DeadlineExceeded, 503, "service_unavailable"},
		{context.Canceled, 499, "client_closed_request"},
		{errors.New("disk on fire"), 500, "internal_error"},
		{&domain.Error{Kind: "a new kind", Code: "new"}, 500, "new"},
	} {
		got := problem.Of(fmt.Errorf("handle: %w", test.err))
		if got.Status != test.status || got.Code != test.code {
			t.Errorf("%v is %d %s, want %d %s", test.err, got.Status, got.Code, test.status, test.code)
		}
	}
}

func TestInternalDetailsStayInside(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("password=hunter2"), domain.ErrUnavailable.Because(errors.New("password=hunter2"))} {
		if p := fmt.Sprintf("%+v", problem.Of(err)); strings.Contains(p, "hunter2") {
			t.Errorf("a caller sees %s", p)
		}
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	form := domain.FieldErrors{domain.Invalid("email", "Enter a mail address."), domain.Invalid("website", "Start with https://.")}
	want := problem.Problem{
		Status: 400, Code: "invalid_request", Message: "Some of the values are not valid.",
		Fields: []problem.Field{{Name: "email", Message: "Enter a mail address."}, {Name: "website", Message: "Start with https://."}},
	}
	if diff := cmp.Diff(want, problem.Of(fmt.Errorf("register: %w", form))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	one := problem.Of(form[:1])
	if one.Field != "email" || one.Message != "Enter a mail address." || len(one.Fields) != 1 {
		t.Errorf("a form with one wrong field: %+v", one)
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		0: "", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Minute: "60",
	} {
		header := http.Header{}
		problem.Of(domain.ErrRateLimited.After(wait)).SetHeaders(header)
		if got := header.Get("Retry-After"); got != want {
			t.Errorf("after %v the header says %q, want %q", wait, got, want)
		}
	}
}
