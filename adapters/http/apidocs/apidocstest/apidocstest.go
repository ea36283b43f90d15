// Package apidocstest holds what the API answers against its OpenAPI document.
package apidocstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/problem"
)

// Document is the OpenAPI document as another program reads it.
type Document struct {
	validator validator.Validator

	mu          sync.Mutex
	held        map[string]int // answers, by what was asked and the status
	differences []string       // of answers to a Transport
}

// notOfTheAPI are headers of any answer over HTTP.
var notOfTheAPI = []string{"Content-Security-Policy", "Strict-Transport-Security", "X-Content-Type-Options"}

// Read reads the document, or says what is wrong with it.
func Read() (*Document, error) {
	text, err := apidocs.Document(&url.URL{Scheme: "https", Host: "api.example"})
	if err != nil {
		return nil, err
	}
	if text, err = closed(text); err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	v, errs := validator.NewValidator(document, config.WithFormatAssertions(),
		// Headers that are not described are found; of bodies the document says itself where there may be other properties.
		config.WithStrictMode(), config.WithStrictIgnoredHeadersExtra(notOfTheAPI...), config.WithStrictIgnorePaths("$.body.**"))
	if len(errs) > 0 {
		return nil, fmt.Errorf("build the OpenAPI document: %w", errs[0])
	}
	if ok, wrong := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("the OpenAPI document is not valid: %v", wrong)
	}
	return &Document{validator: v, held: map[string]int{}}, nil
}

// closed returns the document without room for what it does not describe. Callers leave room for fields and codes to come; our
// own answers have none before they are described.
func closed(text []byte) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	components, _ := document["components"].(map[string]any)
	closeObjects(components["schemas"])
	text, err := json.Marshal(document)
	return bytes.ReplaceAll(text, []byte(`"x-extensible-enum":`), []byte(`"enum":`)), err
}

func closeObjects(schema any) {
	parts, _ := schema.(map[string]any)
	for _, part := range parts {
		closeObjects(part)
	}
	if parts["properties"] != nil {
		parts["additionalProperties"] = false
	}
}

// Answers returns how many answers were held against the document.
func (d *Document) Answers() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, of := range d.held {
		n += of
	}
	return n
}

// Differences returns what answers to a Transport are, and the document does not describe.
func (d *Document) Differences() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.differences)
}

// outside are the answers that the document cannot name: to addresses and methods that do not exist, and to callers that have left.
var outside = []int{http.StatusNotFound, http.StatusMethodNotAllowed, problem.StatusClientClosedRequest}

// most of the answers to the same question with the same status are held: the load of thousands teaches nothing more.
const most = 500

// describes returns whether the document is to describe an answer, and counts it.
func (d *Document) describes(asked *http.Request, status int) bool {
	if slices.Contains(outside, status) || asked.Method == http.MethodOptions || asked.Method == http.MethodHead {
		return false
	}
	kind := fmt.Sprint(asked.Method, " ", asked.URL.Path, " ", status)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held[kind] == most {
		return false
	}
	d.held[kind]++
	return true
}

// differencesOf returns in what an answer is not what the document describes.
func (d *Document) differencesOf(asked *http.Request, status int, header http.Header, body []byte) (differences []string) {
	question := asked.Clone(asked.Context())
	question.Body = http.NoBody
	answer := httptest.NewRecorder().Result()
	answer.StatusCode, answer.Header, answer.Body = status, header.Clone(), io.NopCloser(bytes.NewReader(body))
	defer func() { _ = answer.Body.Close() }() // it is in memory
	ok, wrong := d.validator.GetResponseBodyValidator().ValidateResponseBody(question, answer)
	if ok {
		return nil
	}
	for _, w := range wrong {
		differences = append(differences, fmt.Sprintf("%s %s answers %d %v %s, which the OpenAPI document does not describe: %s: %s %v",
			asked.Method, asked.URL.Path, status, header, body, w.Message, w.Reason, w.SchemaValidationErrors))
	}
	return differences
}

// Hold returns a handler that answers as another does; each answer that the document does not describe fails the test.
func (d *Document) Hold(t testing.TB, handler http.Handler) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &recorder{ResponseWriter: w, status: http.StatusOK}
		handler.ServeHTTP(seen, r)
		if !d.describes(r, seen.status) {
			return
		}
		for _, difference := range d.differencesOf(r, seen.status, seen.Header(), seen.body.Bytes()) {
			t.Error(difference)
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

// Transport returns what a client sends its requests with, whoever the server is: the answers of the API among those that it gets are
// held against the document, and Differences tells what was found.
func (d *Document) Transport(base http.RoundTripper) http.RoundTripper { return &transport{base, d} }

type transport struct {
	base     http.RoundTripper
	document *Document
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.base.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v1/") || !t.document.describes(r, answer.StatusCode) {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil { // the server has gone meanwhile, which the client is to see
		answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(err)))
		return answer, nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	differences := t.document.differencesOf(r, answer.StatusCode, answer.Header, body)
	t.document.mu.Lock()
	defer t.document.mu.Unlock()
	t.document.differences = append(t.document.differences, differences...)
	return answer, nil
}

// CloseIdleConnections lets a client close those of the transport below.
func (t *transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}
