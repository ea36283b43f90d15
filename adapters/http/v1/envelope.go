package v1

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// timeLayout is ISO 8601 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func timestamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// envelope is the form of every answer but health's.
type envelope struct {
	Metadata metadata `json:"metadata"`
	Data     any      `json:"data,omitempty"`
	Error    *failure `json:"error,omitempty"`
}

type metadata struct {
	Date           string     `json:"date"`
	Version        string     `json:"ver"`
	CustomerID     *uuid.UUID `json:"customer_id"`
	RemainingCalls *int64     `json:"remaining_calls"`
	OverLimitCalls *int64     `json:"over_limit_calls"`
	Status         string     `json:"status"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Docs    string `json:"docs,omitempty"` // page about the code
}

// quota is what metadata says about it, the answered call included.
type quota struct {
	remaining, overLimit int64
}

func quotaOf(s counting.Quota) *quota {
	return &quota{remaining: s.Remaining(), overLimit: s.OverLimit()}
}

// quotaAfter is the quota right after a counted call, whatever has been counted since.
func quotaAfter(e domain.CheckCompleted) *quota {
	usage := domain.UsageMonth{Month: e.Month, Included: e.IncludedTotal, Overage: e.OverageTotal}
	return &quota{remaining: usage.Remaining(e.Limit), overLimit: usage.OverLimit(e.Limit)}
}

// metadata describes the answer. Of a caller that is not known, or whose quota cannot be told, the counts are null.
func (x *exchange) metadata(status string) metadata {
	m := metadata{Date: timestamp(x.api.now()), Version: x.api.version, Status: status}
	if x.known {
		m.CustomerID = &x.owner.CustomerID
	}
	if x.quota != nil {
		m.RemainingCalls, m.OverLimitCalls = &x.quota.remaining, &x.quota.overLimit
	}
	return m
}

// writeData answers with what was asked for.
func (x *exchange) writeData(data answer) {
	if whole, ok := data.(bare); ok {
		x.writeJSON(http.StatusOK, whole.body)
		return
	}
	x.writeJSON(http.StatusOK, envelope{Metadata: x.metadata("success"), Data: data})
}

// writeProblem answers with a refusal.
func (x *exchange) writeProblem(p problem.Problem) {
	p.SetHeaders(x.writer.Header())
	x.writer.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // a browser may be led to one
	x.code, x.message = p.Code, p.Message
	x.writeJSON(p.Status, envelope{Metadata: x.metadata("error"), Error: x.api.failure(p)})
}

func (a *API) failure(p problem.Problem) *failure {
	f := &failure{Code: p.Code, Message: p.Message}
	if a.errorDocs != "" {
		f.Docs = a.errorDocs + p.Code
	}
	return f
}

func (x *exchange) writeJSON(status int, body any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)                 // messages show "<base64>" to people who read them in a terminal
	if err := encoder.Encode(body); err != nil { // an answer is made of plain values; only a number that JSON does not have ends here
		x.api.log.ErrorContext(x.request.Context(), "answer cannot be encoded", "error", err, "request_id", x.id)
		status = http.StatusInternalServerError
		text.Reset()
		text.WriteString(`{"error":{"code":"internal_error","message":"The answer cannot be written."}}`)
	}
	header := x.writer.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(text.Len()))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	x.status = status
	x.writer.WriteHeader(status)
	// A caller that has left does not get its answer; what was counted stays so, and a retry with its key finds it.
	_, _ = x.writer.Write(text.Bytes())
}
