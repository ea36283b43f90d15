package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain/proof"
)

// checkedProof runs the check of a file.
func checkedProof(t *testing.T, c AuditCheckCmd) (proof.Report, error) {
	t.Helper()
	c.JSON = true
	var printed bytes.Buffer
	err := c.Run(&App{Out: &printed, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)})
	var report proof.Report
	if printed.Len() > 0 {
		if err := json.Unmarshal(printed.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
	}
	return report, err
}

// A proof is made from a real event store and a real tree, and checked without either.
func TestAuditExportAndCheck(t *testing.T) {
	t.Parallel()
	l := newProvenLog(t)
	var first, second string
	l.on(l.data, func(s *session) {
		s.call(l.ada, 3, 0.01)
		s.call(l.eve, 2, 0.02)
		s.sign()
		s.project()
		first = s.export("first.ndjson")
		s.call(l.ada, 3, 0.03)
		s.sign()
		s.project()
		second = s.export("second.ndjson", first)
	})
	keys, err := l.keys()
	l.must(err)
	report, err := checkedProof(t, AuditCheckCmd{File: second, Against: first, Key: []string{keys[0].VerifierKey}})
	if err != nil || report.Month.Counted != 6 || report.Month.Overage != 2 || report.Month.Pending != 2 || report.Origin != unpublishedOrigin || !report.KeysGiven {
		t.Errorf("%+v: %v", report, err)
	}
	content, err := os.ReadFile(second)
	l.must(err)
	for _, other := range []string{l.eve.subscription.ID.String(), l.eve.subscription.CustomerID.String()} {
		if strings.Contains(string(content), other) {
			t.Errorf("the proof tells of another customer: %s", other)
		}
	}
	var printed bytes.Buffer
	app := &App{Out: &printed, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)}
	l.must((&AuditCheckCmd{File: second}).Run(app))
	for _, want := range []string{"6: 4 within the plan, 2 beyond it", "the file's own key", "0 findings", "subscription started: starter, 4 calls a month"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the check does not print %q:\n%s", want, printed.String())
		}
	}
	page := filepath.Join(t.TempDir(), "page.html")
	l.must((&AuditPageCmd{File: page}).Run(app))
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "Check the proof of a month") {
		t.Errorf("the page is %q: %v", html, err)
	}
}
