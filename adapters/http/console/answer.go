package console

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/domain"
)

// isAPI returns whether a request wants JSON.
func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, apiPath) }

// errorBody is the one shape of every error of the JSON API.
type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Fields  []errorField `json:"fields,omitempty"`
}

type errorField struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

var errTooMuchText = &domain.Error{Kind: domain.KindTooLarge, Code: "too_large",
	Message: "What you sent is larger than we accept. Go back and shorten it."}

// words are what pages and screens say of what has no words of its own.
var words = problem.Words{
	domain.ErrInvalidRequest.Code:       "The request is not valid.",
	domain.ErrSubscriptionInactive.Code: "The subscription is not active. Check it on AWS Marketplace under Manage subscriptions.",
	domain.ErrImageTooLarge.Code:        "The photo is larger than 10 MB. Choose a smaller one.",
	domain.ErrOverloaded.Code:           "The service is busy. Please try again in a few seconds.",
	domain.ErrUnavailable.Code:          "This cannot be done at the moment. Nothing is lost; please try again in a few seconds.",
	problem.CodeInternal:                "Something went wrong on our side. Nothing you entered was wrong; please try again in a moment.",
	problem.CodeClientClosedRequest:     "The request was cancelled.",
}

// problemOf describes err, for pages and JSON alike.
func problemOf(err error) problem.Problem {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		err = errTooMuchText
	}
	p := problem.Of(err).In(words)
	if len(p.Fields) == 0 && p.Field != "" {
		p.Fields = []problem.Field{{Name: p.Field, Message: p.Message}}
	}
	return p
}

func writeProblem(w http.ResponseWriter, p problem.Problem) {
	p.SetHeaders(w.Header())
	detail := errorDetail{Code: p.Code, Message: p.Message}
	for _, field := range p.Fields {
		detail.Fields = append(detail.Fields, errorField{field.Name, field.Message})
	}
	writeJSON(w, p.Status, errorBody{detail})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, `{"error":{"code":"internal_error","message":"The answer cannot be written."}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client is gone: nobody is left to tell
}

// note logs what the operator must know of a failure.
func (c *console) note(r *http.Request, p problem.Problem, err error) {
	if p.Status >= http.StatusInternalServerError {
		c.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	}
}

// fail answers a request that was refused or went wrong, as a page or as JSON, whichever the client reads.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	c.note(r, p, err)
	if isAPI(r) {
		writeProblem(w, p)
		return
	}
	p.SetHeaders(w.Header())
	e := explanation{Heading: headingOf(p.Status), Text: []string{p.Message}, Actions: []action{{Label: "Go to the console", Link: dashboardPath}}}
	if r.Method == http.MethodGet && p.Status >= http.StatusInternalServerError {
		e.Actions = []action{{Label: "Try again", Link: r.URL.RequestURI()}}
	}
	c.explain(w, r, p.Status, e)
}

func headingOf(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "Please wait a moment"
	case http.StatusServiceUnavailable:
		return "We cannot do this right now"
	case http.StatusInternalServerError:
		return "Something went wrong on our side"
	case http.StatusForbidden:
		return "This is not possible at the moment"
	case http.StatusRequestEntityTooLarge:
		return "That was too much text"
	case http.StatusNotFound:
		return "There is no such page"
	}
	return "This did not work"
}

// methodNotAllowed names the methods that the address does support.
func (c *console) methodNotAllowed(routes *mux.Router) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			asked := *r
			asked.Method = method
			if found := (mux.RouteMatch{}); routes.Match(&asked, &found) && found.MatchErr == nil {
				allowed = append(allowed, method)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		c.fail(w, r, problem.ErrMethodNotAllowed)
	}
}

var errCrossOrigin = &domain.Error{Kind: domain.KindForbidden, Code: "cross_origin",
	Message: "This request came from another website, so it was not carried out. Open the console and try again there."}

func (c *console) crossOriginRefused(w http.ResponseWriter, r *http.Request) {
	c.Security.Note(r.Context(), securitylog.CrossOrigin, slog.String("method", r.Method))
	c.fail(w, r, errCrossOrigin)
}
