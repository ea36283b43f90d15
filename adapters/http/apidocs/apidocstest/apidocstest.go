// Package apidocstest holds what the API answers against its OpenAPI document.
package apidocstest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/problem"
)

// Document is the OpenAPI document as another program reads it.
type Document struct {
	validator validator.Validator
	answers   atomic.Int64
}

// Read reads the document, or says what is wrong with it.
func Read() (*Document, error) {
	text, err := apidocs.Document(&url.URL{Scheme: "https", Host: "api.example"})
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, fmt.Errorf("build the OpenAPI document: %w", errs[0])
	}
	if ok, wrong := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("the OpenAPI document is not valid: %v", wrong)
	}
	return &Document{validator: v}, nil
}

// Answers returns how many answers were held against the document.
func (d *Document) Answers() int64 { return d.answers.Load() }

// outside are the answers that the document cannot name: to addresses and methods that do not exist, and to callers that have left.
var outside = []int{http.StatusNotFound, http.StatusMethodNotAllowed, problem.StatusClientClosedRequest}

// Hold returns a handler that answers as another does; each answer that the document does not describe fails the test.
func (d *Document) Hold(t testing.TB, handler http.Handler) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &recorder{ResponseWriter: w, status: http.StatusOK}
		asked := r.Clone(r.Context())
		handler.ServeHTTP(seen, r)
		if slices.Contains(outside, seen.status) || r.Method == http.MethodOptions || r.Method == http.MethodHead {
			return
		}
		d.answers.Add(1)
		asked.Body = http.NoBody
		answer := seen.response()
		defer func() { _ = answer.Body.Close() }() // it is in memory
		if ok, wrong := d.validator.GetResponseBodyValidator().ValidateResponseBody(asked, answer); !ok {
			for _, w := range wrong {
				t.Errorf("%s %s answers %d %s, which the OpenAPI document does not describe: %s: %s %v",
					r.Method, r.URL.Path, seen.status, seen.body.String(), w.Message, w.Reason, w.SchemaValidationErrors)
			}
		}
	})
}

// recorder keeps what is written.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

// Unwrap opens the writer to http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) response() *http.Response {
	answer := httptest.NewRecorder().Result()
	answer.StatusCode, answer.Header, answer.Body = r.status, r.Header().Clone(), io.NopCloser(bytes.NewReader(r.body.Bytes()))
	return answer
}
