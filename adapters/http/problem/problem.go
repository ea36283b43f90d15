// Package problem says how a refusal looks over HTTP: its status, code, message and headers. It is the only place where
// an error becomes a status, for the API and for the console alike.
package problem

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// Refusals that only HTTP knows.
var (
	ErrNotFound         = &domain.Error{Kind: domain.KindNotFound, Code: "not_found", Message: "There is nothing at this address."}
	ErrMethodNotAllowed = &domain.Error{Kind: domain.KindInvalid, Code: "method_not_allowed", Message: "This address does not support the method. The Allow header says which it does."}
	ErrRequestTimeout   = &domain.Error{Kind: domain.KindInvalid, Code: "request_timeout", Message: "The request body arrived too slowly or stopped. Nothing was counted; send it again."}
)

// Codes of what is no refusal.
const (
	CodeInternal            = "internal_error"
	CodeClientClosedRequest = "client_closed_request"
)

// StatusClientClosedRequest is the status, in logs and metrics, of a request whose caller has left before the answer.
const StatusClientClosedRequest = 499

// statusOfCode holds the codes whose status is not that of their kind.
var statusOfCode = map[string]int{
	ErrMethodNotAllowed.Code: http.StatusMethodNotAllowed,
	ErrRequestTimeout.Code:   http.StatusRequestTimeout,
}

var statusOfKind = map[domain.Kind]int{
	domain.KindInvalid:         http.StatusBadRequest,
	domain.KindUnauthenticated: http.StatusUnauthorized,
	domain.KindForbidden:       http.StatusForbidden,
	domain.KindNotFound:        http.StatusNotFound,
	domain.KindConflict:        http.StatusConflict,
	domain.KindTooLarge:        http.StatusRequestEntityTooLarge,
	domain.KindUnsupported:     http.StatusUnsupportedMediaType,
	domain.KindExhausted:       http.StatusTooManyRequests,
	domain.KindUnavailable:     http.StatusServiceUnavailable,
}

// Problem is a refusal as the caller sees it.
type Problem struct {
	Status     int
	Code       string
	Message    string
	Field      string  // the input at fault, when there is a single one
	Fields     []Field // every input at fault, when a form was refused
	RetryAfter time.Duration
}

// Field is one input of a form that needs another value.
type Field struct {
	Name    string
	Message string
}

// Of describes err, without words where the error has none; see Problem.In. What is not a refusal is a fault of ours: its
// details are for the log and are not in the Problem.
func Of(err error) Problem {
	var form domain.FieldErrors
	if errors.As(err, &form) && len(form) > 0 {
		return ofForm(form)
	}
	var refusal *domain.Error
	switch {
	case errors.As(err, &refusal):
		return ofRefusal(refusal)
	case errors.Is(err, context.Canceled):
		return Problem{Status: StatusClientClosedRequest, Code: CodeClientClosedRequest}
	case errors.Is(err, context.DeadlineExceeded):
		return ofRefusal(domain.ErrUnavailable)
	}
	return Problem{Status: http.StatusInternalServerError, Code: CodeInternal}
}

// Words are what an API or a site says to its callers of each code.
type Words map[string]string

// In returns the problem in these words, unless it has words of its own.
func (p Problem) In(words Words) Problem {
	if p.Message == "" {
		p.Message = words[p.Code]
	}
	return p
}

func ofRefusal(e *domain.Error) Problem {
	status, special := statusOfCode[e.Code]
	if !special {
		status = statusOfKind[e.Kind]
	}
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return Problem{Status: status, Code: e.Code, Message: e.Message, Field: e.Field, RetryAfter: e.RetryAfter}
}

func ofForm(form domain.FieldErrors) Problem {
	p := ofRefusal(form[0])
	for _, e := range form {
		p.Fields = append(p.Fields, Field{Name: e.Field, Message: e.Message})
	}
	if len(form) > 1 {
		p.Field, p.Message = "", "Some of the values are not valid."
	}
	return p
}

// SetHeaders writes the headers that belong to the refusal: Retry-After in whole seconds, rounded up: who waits
// as long as it says is not too early.
func (p Problem) SetHeaders(header http.Header) {
	if p.RetryAfter > 0 {
		seconds := int64((p.RetryAfter + time.Second - 1) / time.Second)
		header.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
}
