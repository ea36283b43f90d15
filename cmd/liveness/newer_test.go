package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// TestNewerEventsAreTold: an event of a type, or in a version, that only a newer program knows is a finding of the audit, also in
// a stream of which this program has never heard; nothing of ours is passed over in silence.
func TestNewerEventsAreTold(t *testing.T) {
	t.Parallel()
	r := openReadModels(t)
	r.count(t, uuid.New(), 0, 1)
	before, _ := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags}})
	meta := func(version string) string {
		return `{"$correlationId": "` + uuid.NewString() + `", "$causationId": "` + uuid.NewString() + `", "actor": "operator", "schemaVersion": ` + version + `, "time": "2031-01-02T03:04:05Z"}`
	}
	customer := uuid.New()
	places := map[string]string{}
	for _, e := range []struct{ stream, eventType, meta string }{
		{"novelty-" + customer.String(), "NoveltyBegun", meta("1")},
		{domain.AccountStream(customer), "AccountMerged", meta("1")},
		{domain.APIKeysStream(customer), "KeyIssued", meta("2")},
	} {
		appendRaw(t, r.flags.EventStore, e.stream, e.eventType, `{}`, e.meta)
		places[e.stream+"@0"] = e.eventType
	}
	out, code := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags}})
	if code != exitFindings {
		t.Errorf("audit = %d", code)
	}
	for place, eventType := range places {
		if strings.Contains(before, place) || !strings.Contains(out, place) || !strings.Contains(out, eventType) {
			t.Errorf("%s at %s is not told:\n%s", eventType, place, out)
		}
	}
}
