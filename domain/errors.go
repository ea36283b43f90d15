package domain

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind groups refusals by what the caller can do about them. The HTTP status is derived from it in one place.
type Kind string

// The kinds of refusal.
const (
	KindInvalid         Kind = "invalid"         // the request itself is wrong: change it
	KindUnauthenticated Kind = "unauthenticated" // who the caller is is not known: log in or send a valid key
	KindForbidden       Kind = "forbidden"       // known, but not allowed now
	KindNotFound        Kind = "not_found"       // there is no such thing
	KindConflict        Kind = "conflict"        // it contradicts what has already happened
	KindTooLarge        Kind = "too_large"       // more bytes than accepted
	KindUnsupported     Kind = "unsupported"     // a media type that is not understood
	KindExhausted       Kind = "exhausted"       // a limit of the plan or of fair use is reached
	KindUnavailable     Kind = "unavailable"     // a part of ours does not answer: the same request may succeed later
)

// Error is a refusal that the caller is told about. Anything else that fails is internal and never shown.
type Error struct {
	Kind       Kind
	Code       string        // stable, machine-readable: the `code` of API answers
	Message    string        // for people; says what to do. Empty when whoever answers has words for the code
	Field      string        // the input at fault, when there is a single one
	RetryAfter time.Duration // when it is worth trying again, 0 when unknown
	Err        error         // what caused it; for logs only
}

// Error returns the code, the message and the cause, as far as there are any.
func (e *Error) Error() string {
	text := e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes two refusals the same when their codes are, so that sentinels match however they were detailed.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Field == "" || t.Field == e.Field)
}

// Because returns a copy of e that carries cause for the log.
func (e *Error) Because(cause error) *Error {
	detailed := *e
	detailed.Err = cause
	return &detailed
}

// Saying returns a copy of e with another message for people.
func (e *Error) Saying(format string, args ...any) *Error {
	detailed := *e
	detailed.Message = fmt.Sprintf(format, args...)
	return &detailed
}

// After returns a copy of e that asks the caller to wait.
func (e *Error) After(wait time.Duration) *Error {
	detailed := *e
	detailed.RetryAfter = wait
	return &detailed
}

// Invalid is a refusal of one input field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Code: "invalid_request", Field: field, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the refusal inside err, or "" when err is internal.
func KindOf(err error) Kind {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// Refusals of the API, one per error code of the product. They say nothing to people: whoever answers finds the words.
var (
	ErrInvalidRequest       = &Error{Kind: KindInvalid, Code: "invalid_request"}
	ErrInvalidImage         = &Error{Kind: KindInvalid, Code: "invalid_image"}
	ErrInvalidAPIKey        = &Error{Kind: KindUnauthenticated, Code: "invalid_api_key"}
	ErrSubscriptionInactive = &Error{Kind: KindForbidden, Code: "subscription_inactive"}
	ErrIdempotencyConflict  = &Error{Kind: KindConflict, Code: "idempotency_conflict"}
	ErrImageTooLarge        = &Error{Kind: KindTooLarge, Code: "image_too_large"}
	ErrUnsupportedMedia     = &Error{Kind: KindUnsupported, Code: "unsupported_media_type"}
	ErrQuotaExceeded        = &Error{Kind: KindExhausted, Code: "quota_exceeded"}
	ErrRateLimited          = &Error{Kind: KindExhausted, Code: "rate_limited", RetryAfter: time.Second}
	ErrOverloaded           = &Error{Kind: KindUnavailable, Code: "overloaded", RetryAfter: time.Second}
	ErrUnavailable          = &Error{Kind: KindUnavailable, Code: "service_unavailable", RetryAfter: 2 * time.Second}
)

// FieldErrors refuses a form: every field that needs another value, in the order of the form.
type FieldErrors []*Error

// Error lists the fields.
func (f FieldErrors) Error() string {
	var text strings.Builder
	text.WriteString("invalid fields:")
	for _, e := range f {
		text.WriteString(" " + e.Field)
	}
	return text.String()
}

// Unwrap returns the single refusals.
func (f FieldErrors) Unwrap() []error {
	errs := make([]error, len(f))
	for i, e := range f {
		errs[i] = e
	}
	return errs
}
