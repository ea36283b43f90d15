package requestid_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/requestid"
)

// What is said while a request is answered names it, whatever became of the logger in between; the rest of the log names none.
func TestTheLogNamesTheRequest(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	log := slog.New(requestid.Log(slog.NewTextHandler(&said, nil)))
	answer := httptest.NewRecorder()
	requestid.Handler("console", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "plain")
		log.With("a", 1).InfoContext(r.Context(), "with")
		log.WithGroup("group").InfoContext(r.Context(), "grouped", "b", 2)
		log.Info("of no request")
	})).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	id := answer.Header().Get(requestid.Header)
	if _, err := uuid.Parse(id); err != nil {
		t.Fatalf("the answer names %q", id)
	}
	for line := range strings.Lines(said.String()) {
		if named := strings.Contains(line, "request_id="+id); named == strings.Contains(line, "of no request") {
			t.Errorf("%s", line)
		}
	}
	if requestid.From(t.Context()) != uuid.Nil {
		t.Error("a context of no request has an id")
	}
}
