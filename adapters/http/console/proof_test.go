package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/domain/proof"
)

// A customer downloads the proof of a month, which holds, and the page that checks it.
func TestDownloadProof(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Used(1002)
	var usage struct{ Provable bool }
	if b.Read("usage", &usage); usage.Provable {
		t.Error("a proof is offered before anything is signed")
	}
	if a := b.Get("/console/api/usage/2026-11.ndjson"); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "nothing_signed") {
		t.Errorf("before anything is signed: %d %s", a.Status, a.Text())
	}
	w.Sign()
	if b.Read("usage", &usage); !usage.Provable {
		t.Error("no proof is offered")
	}
	a := b.Get("/console/api/usage/2026-11.ndjson")
	if a.Status != http.StatusOK || !strings.Contains(a.Header.Get("Content-Disposition"), "liveness-proof-"+b.Session("").Customer+"-2026-11.ndjson") {
		t.Fatalf("the download answers %d %v", a.Status, a.Header)
	}
	report, err := proof.Check([]byte(a.Body), proof.Options{})
	if err != nil || len(report.Findings) > 0 || report.Month.Counted != 1002 || report.Month.Overage != 2 || report.CustomerID.String() != b.Session("").Customer {
		t.Errorf("%+v: %v", report, err)
	}
	if a := b.Get("/console/api/check-proof.html"); a.Status != http.StatusOK || !strings.Contains(a.Body, "Check the proof of a month") ||
		!strings.Contains(a.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the page answers %d %v", a.Status, a.Header)
	}
	if a := b.Get("/console/api/usage/2026-13.ndjson"); a.Status != http.StatusUnprocessableEntity && a.Status != http.StatusBadRequest {
		t.Errorf("a month that is none: %d %s", a.Status, a.Text())
	}
}
