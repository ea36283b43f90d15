package console_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/adapters/http/fairshare"
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

const proofPath = "/console/api/usage/2026-11.ndjson"

// begin asks for the proof of a month, and reads no more of it than that it comes. It has a connection of its own: for one
// that was read fast the system takes in more than is read.
func begin(t *testing.T, w *consoletest.World, b *consoletest.Client) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+proofPath, http.NoBody)
	consoletest.Must(t, err)
	answer, err := (&http.Client{Jar: b.HTTP.Jar, Transport: &http.Transport{}}).Do(request)
	consoletest.Must(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// await waits until the memory for proofs stands as it should.
func await(t *testing.T, w *consoletest.World, as func(fairshare.Standing) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !as(w.Untaken.Stand()); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the memory for proofs stands as %+v", w.Untaken.Stand())
		}
	}
}

// Who takes proofs slowly keeps nobody from theirs, also when all memory for them is taken. What such a customer gets is
// bounded, and comes back when it leaves.
func TestSlowReaderOfProofsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Proofs.Length = 16 << 20 // more than the system takes, and a quarter of the memory for proofs
	ada := w.Client()
	ada.Customer()
	eve := w.Stranger("eve@example.net")
	w.Sign()
	served := func(when string) {
		t.Helper()
		if a := eve.Get(proofPath); a.Status != http.StatusOK || len(a.Body) != w.Proofs.Length {
			t.Errorf("%s another is answered %d with %d bytes", when, a.Status, len(a.Body))
		}
	}
	var slow []*http.Response
	for len(slow) < 4 {
		slow = append(slow, begin(t, w, ada))
		if status := slow[len(slow)-1].StatusCode; status != http.StatusOK {
			t.Fatalf("proof %d is answered %d", len(slow), status)
		}
		if len(slow) < 4 {
			served("while one is taken slowly")
			await(t, w, func(s fairshare.Standing) bool { return s.Holders == 1 })
		}
	}
	if a := ada.Get(proofPath); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "still being downloaded") {
		t.Errorf("one more than there is memory for: %d %s", a.Status, a.Text())
	}
	cut := make(chan error, 1)
	go func() {
		for end := time.Now().Add(time.Minute); w.Untaken.Stand().GaveWay == 0 && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		_, err := io.Copy(io.Discard, slow[3].Body) // goes on reading
		cut <- err
	}()
	served("while all memory is taken")
	await(t, w, func(s fairshare.Standing) bool { return s.GaveWay == 1 })
	if err := <-cut; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the proof that gave way ends with %v", err)
	}
	for _, answer := range slow {
		consoletest.Must(t, answer.Body.Close())
	}
	await(t, w, func(s fairshare.Standing) bool { return s.Taken == 0 })
}
