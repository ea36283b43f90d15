package domain_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestRefusalInALine(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	for want, err := range map[string]error{
		"quota_exceeded":                      domain.ErrQuotaExceeded,
		"quota_exceeded: Wait.":               domain.ErrQuotaExceeded.Saying("%s.", "Wait"),
		"quota_exceeded: disk on fire":        domain.ErrQuotaExceeded.Because(cause),
		"quota_exceeded: Wait.: disk on fire": domain.ErrQuotaExceeded.Saying("Wait.").Because(cause),
		"invalid_request: Choose one of 2.":   domain.Invalid("plan", "Choose one of %d.", 2),
		"invalid fields: email website":       domain.FieldErrors{domain.Invalid("email", "x"), domain.Invalid("website", "y")},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
	if domain.ErrQuotaExceeded.Message != "" || domain.ErrQuotaExceeded.Err != nil {
		t.Errorf("detailing a refusal has changed it: %+v", domain.ErrQuotaExceeded)
	}
}

// A refusal is known by its code, however it was detailed, and by its field where one is asked for.
func TestRefusalsAreKnownByTheirCode(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	wrapped := fmt.Errorf("handle: %w", domain.Invalid("email", "x").Because(cause))
	for _, tt := range []struct {
		err, target error
		want        bool
	}{
		{wrapped, domain.ErrInvalidRequest, true},
		{wrapped, domain.Invalid("email", "y"), true},
		{wrapped, domain.Invalid("website", "x"), false},
		{wrapped, domain.ErrQuotaExceeded, false},
		{wrapped, cause, true},
		{domain.ErrInvalidRequest, domain.Invalid("email", ""), false},
		{domain.FieldErrors{domain.Invalid("email", "x")}, domain.Invalid("email", ""), true},
		{domain.FieldErrors{}, domain.ErrInvalidRequest, false},
	} {
		if got := errors.Is(tt.err, tt.target); got != tt.want {
			t.Errorf("%v is %v: %t, want %t", tt.err, tt.target, got, tt.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for want, err := range map[domain.Kind]error{
		domain.KindExhausted: fmt.Errorf("handle: %w", domain.ErrQuotaExceeded), domain.KindInvalid: domain.FieldErrors{domain.Invalid("a", "b")}, "": errors.New("internal"),
	} {
		if got := domain.KindOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}

func TestRefusalSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(&domain.Error{Kind: domain.KindExhausted, Code: "rate_limited", RetryAfter: time.Minute}, domain.ErrRateLimited.After(time.Minute)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
