package apidocstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/apidocs/apidocstest"
)

// Callers who hold answers to the served document can go on for as long as there is /v1, to which fields and codes may be added.
// Our own tests let none pass that is not described. The answers are the examples of the document, as they are and grown.
func TestAnswersMayGrowButNotUndescribed(t *testing.T) {
	t.Parallel()
	text, err := apidocs.Document(&url.URL{Scheme: "https", Host: "api.example"})
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	callers, errs := validator.NewValidator(document, config.WithFormatAssertions())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ours, err := apidocstest.Read()
	if err != nil {
		t.Fatal(err)
	}
	differ := func(e example, body string) bool {
		before := len(ours.Differences())
		request, answer := e.with(body)
		held, err := ours.Transport(sent{answer}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = held.Body.Close() }() // it is in memory
		return len(ours.Differences()) > before
	}
	examples := examplesOf(t, text)
	if len(examples) < 25 {
		t.Errorf("there are only %d examples", len(examples))
	}
	for _, e := range examples {
		if differ(e, e.body) {
			t.Errorf("the example has what is not described: %s %s %d %s", e.method, e.path, e.status, e.body)
		}
		for _, body := range grown(e.body) {
			request, answer := e.with(body)
			if ok, wrong := callers.GetResponseBodyValidator().ValidateResponseBody(request, answer); !ok {
				t.Errorf("the document forbids %s %s %d %s: %v", e.method, e.path, e.status, body, wrong[0].Reason)
			}
			if !differ(e, body) && !strings.Contains(body, `"components": `+added) {
				t.Errorf("our tests let pass %s %s %d %s", e.method, e.path, e.status, body)
			}
		}
	}
}

// added is a field more at the beginning of an object. It has the form of a component, of which health names any.
const added = `{"added": {"status": "up"},`

// grown returns a body with a field more in one of its objects, for each of them, and with a code that is not known yet.
func grown(body string) (bodies []string) {
	for i := range body {
		if body[i] == '{' {
			bodies = append(bodies, body[:i]+added+body[i+1:])
		}
	}
	if before, after, found := strings.Cut(body, `"code": "`); found {
		bodies = append(bodies, before+`"code": "not_known_`+after)
	}
	return bodies
}

// example is an answer that the document shows.
type example struct {
	method, path string
	status       int
	header       http.Header
	body         string
}

// with returns the answer with another body, and the request for it.
func (e example) with(body string) (*http.Request, *http.Response) {
	return httptest.NewRequest(e.method, "https://api.example"+e.path, http.NoBody),
		&http.Response{StatusCode: e.status, Header: e.header, Body: io.NopCloser(strings.NewReader(body))}
}

func examplesOf(t *testing.T, text []byte) (examples []example) {
	t.Helper()
	type response struct {
		Ref     string `json:"$ref"`
		Headers map[string]any
		Content map[string]struct {
			Example  json.RawMessage
			Examples map[string]struct{ Value json.RawMessage }
		}
	}
	var document struct {
		Paths      map[string]map[string]struct{ Responses map[string]response }
		Components struct{ Responses map[string]response }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for address, operations := range document.Paths {
		for method, operation := range operations {
			for status, described := range operation.Responses {
				if described.Ref != "" {
					described = document.Components.Responses[path.Base(described.Ref)]
				}
				e := example{method: strings.ToUpper(method), path: address, header: http.Header{
					"Content-Type": {"application/json"}, "X-Request-Id": {"6a9f7c1e-0f0b-4c39-9d8d-1c9b1a4a5b8e"},
				}}
				e.status, _ = strconv.Atoi(status)
				if described.Headers["Retry-After"] != nil {
					e.header.Set("Retry-After", "1")
				}
				content := described.Content["application/json"]
				bodies := []json.RawMessage{content.Example}
				for _, other := range content.Examples {
					bodies = append(bodies, other.Value)
				}
				for _, body := range bodies {
					if e.body = string(body); e.body != "" {
						examples = append(examples, e)
					}
				}
			}
		}
	}
	return examples
}

// sent is a way to a server that has sent an answer.
type sent struct{ answer *http.Response }

// RoundTrip implements http.RoundTripper.
func (s sent) RoundTrip(*http.Request) (*http.Response, error) { return s.answer, nil }
