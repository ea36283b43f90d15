package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// TestProjectionsSkip: an operator lets a read model go past an event that it is stopped at, with a reason that the log keeps,
// the list and the audit show, and a rebuild follows.
func TestProjectionsSkip(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	r.maintain(t)
	customer := uuid.New()
	stream := domain.APIKeysStream(customer)
	bad := appendRaw(t, r.flags.EventStore, stream, "KeyIssued", `{}`, `{"schemaVersion": 99}`)
	var listed string
	awaittest.Until(t, "stopping", func() bool {
		listed, _ = projectionsRun(t, &ProjectionsListCmd{r.flags})
		return strings.Contains(listed, "stopped")
	})
	if want := "liveness projections skip api_keys " + strconv.FormatUint(bad, 10); !strings.Contains(listed, want) {
		t.Errorf("the list lacks %q:\n%s", want, listed)
	}
	for name, refused := range map[string]struct {
		command ProjectionsSkipCmd
		says    string
	}{
		"an unknown read model":      {ProjectionsSkipCmd{r.flags, "nonsense", bad, "why"}, "there are api_keys"},
		"one that is not stopped":    {ProjectionsSkipCmd{r.flags, "subscriptions", bad, "why"}, "not stopped"},
		"one that has gone past it":  {ProjectionsSkipCmd{r.flags, "activity", bad, "why"}, "not stopped"},
		"another position":           {ProjectionsSkipCmd{r.flags, "api_keys", bad + 1, "why"}, "stopped at position"},
		"without a reason":           {ProjectionsSkipCmd{r.flags, "api_keys", bad, ""}, "Say why"},
		"with a reason that is none": {ProjectionsSkipCmd{r.flags, "api_keys", bad, "  "}, "Say why"},
	} {
		if out, code := projectionsRun(t, &refused.command); code != exitFailure || !strings.Contains(out, refused.says) {
			t.Errorf("%s: %d, %q", name, code, out)
		}
	}
	if out, code := projectionsRun(t, &ProjectionsSkipCmd{r.flags, "api_keys", bad, "a test wrote it"}); code != 0 || !strings.Contains(out, stream) {
		t.Fatalf("skip = %d\n%s", code, out)
	}
	wantSkipped := func() {
		t.Helper()
		awaittest.Until(t, "going on", func() bool {
			listed, _ = projectionsRun(t, &ProjectionsListCmd{r.flags})
			return strings.Count(listed, "live ") == len(projections.All())
		})
		if !strings.Contains(listed, "api_keys skips events") || !strings.Contains(listed, "a test wrote it (operator)") {
			t.Errorf("the list does not show the skip:\n%s", listed)
		}
	}
	wantSkipped()
	if out, code := projectionsRun(t, &ProjectionsRebuildCmd{r.flags, "api_keys"}); code != 0 || strings.Contains(out, "DIFFERENT") {
		t.Errorf("rebuild = %d\n%s", code, out)
	}
	wantSkipped()
	if out, code := projectionsRun(t, &ProjectionsSkipCmd{r.flags, "api_keys", bad, "again"}); code != exitFailure {
		t.Errorf("skipping what is skipped = %d\n%s", code, out)
	}
	out, _ := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags}})
	if !strings.Contains(out, "read model api_keys skips KeyIssued, revision 0 of "+stream+", by operator: a test wrote it") {
		t.Errorf("the audit does not show the skip:\n%s", out)
	}
	out, _ = projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags, JSON: true}})
	var report auditing.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Skips) != 1 || report.Skips[0].Why != "a test wrote it" || report.Skips[0].Position != bad {
		t.Errorf("audit --json: %v\n%s", err, out)
	}
}

// TestProjectionsSkipACall: behind a damaged call that the read models of billing go past, calls are shown again, and the audit finds
// no read model that shows anything else than the log.
func TestProjectionsSkipACall(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	r.maintain(t)
	subscription, month := uuid.New(), domain.Month{Year: 2026, Month: time.November}
	r.count(t, subscription, 0, 4)
	stream := domain.UsageStream(subscription, month)
	bad := appendRaw(t, r.flags.EventStore, stream, "CheckCompleted", `{}`, `{"schemaVersion": 99}`)
	last := r.count(t, subscription, 5, 3)
	for _, name := range []string{"usage", "metering"} {
		awaittest.Until(t, name+" going on", func() bool {
			_, code := projectionsRun(t, &ProjectionsSkipCmd{r.flags, name, bad, "damaged"})
			return code == 0
		})
		r.waitFor(t, name, last)
		if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, name}); code != 0 {
			t.Errorf("compare %s = %d\n%s", name, code, out)
		}
	}
	out, code := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: r.flags, ReadModels: true})
	if code != exitDifferent || !strings.Contains(out, stream+"@4") || !strings.Contains(out, "read model usage skips CheckCompleted") ||
		strings.Contains(out, "not compared") || strings.Contains(out, "read model usage.") || strings.Contains(out, "read model metering.") {
		t.Errorf("audit = %d\n%s", code, out)
	}
}

func TestProjectionsSkipNeedsAReason(t *testing.T) {
	t.Parallel()
	if code, _, errOut := runLine("projections", "skip", "usage", "4711"); code != exitUsage || !strings.Contains(errOut, "--why") {
		t.Errorf("exit status %d, want %d: %s", code, exitUsage, errOut)
	}
}
