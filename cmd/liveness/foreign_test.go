package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// foreign are streams and types of other programs that share the log. Several are called as ours are.
var foreign = []struct{ stream, eventType, data, metadata string }{
	{"crm-1", "KeyIssued", `{}`, ``},
	{"crm-1", "CheckCompleted", `{}`, `{}`},
	{"crm-1", "CustomerMoved", `not JSON`, `nor this`},
	{"account-42", "AccountRegistered", `[]`, `{"schemaVersion": 1}`},
	{"account-2f6e0b1c-3a54-4d0e-9a6b-0c9b1d5a7e10", "AccountOpened", `{}`, `{"schemaVersion": 1}`},
	{"usage-report", "CheckCompleted", `{"ordinal": "first"}`, `{"schemaVersion": 1}`},
	{"metering-1", "UsageRecordPrepared", `{}`, `{"schemaVersion": 99}`},
	{"marketplace-orders", "OrderPlaced", `{}`, ``},
	{"subscription-gold", "SubscriptionStarted", `{"limit": -1}`, `{"schemaVersion": 1}`},
	{"somethingelse", "PersonalDataErased", ``, ``},
}

// appendRaw writes an event as another program might.
func appendRaw(tb testing.TB, address, stream, eventType, data, metadata string) (position uint64) {
	tb.Helper()
	settings, err := esdb.ParseConnectionString(address)
	if err != nil {
		tb.Fatal(err)
	}
	settings.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(settings)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	contentType := esdb.ContentTypeBinary
	if json.Valid([]byte(data)) {
		contentType = esdb.ContentTypeJson
	}
	result, err := client.AppendToStream(tb.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.EventData{
		EventID: uuid.New(), EventType: eventType, ContentType: contentType, Data: []byte(data), Metadata: []byte(metadata),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return result.CommitPosition
}

// TestForeignEventsAreNobodysBusiness: on a log that is shared with other programs, whose events bear the names of ours and
// stand in streams that begin like ours, read models go on, and the audit and the settling of accounts find nothing.
func TestForeignEventsAreNobodysBusiness(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	subscription := uuid.New()
	started := domain.SubscriptionStarted{
		SubscriptionID: subscription, CustomerID: domain.CustomerIDForSubscription(subscription), Plan: domain.PlanEnterprise, Limit: 1 << 40,
		Overage: domain.OverageContinue,
	}
	if _, err := r.store.Append(t.Context(), domain.SubscriptionStream(subscription), commands.NoStream, []commands.Proposed{{ID: uuid.New(), Event: started}}); err != nil {
		t.Fatal(err)
	}
	write := func() {
		for _, f := range foreign {
			appendRaw(t, r.flags.EventStore, f.stream, f.eventType, f.data, f.metadata)
		}
	}
	write() // seen while catching up
	last := r.count(t, subscription, 0, 3)
	stop := r.maintain(t)
	r.waitFor(t, "usage", last)
	write() // seen live
	r.waitFor(t, "usage", r.count(t, subscription, 3, 4))
	write()
	awaittest.Until(t, "every read model being live", func() bool {
		out, _ := projectionsRun(t, &ProjectionsListCmd{r.flags})
		return strings.Count(out, "live") == len(projections.All())
	})
	statuses, err := r.engine.Statuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if s.State != engine.StateLive || s.Parked != 0 || s.Error != "" {
			t.Errorf("%s = %+v", s.Name, s)
		}
	}
	for _, p := range projections.All() {
		if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, p.Name}); code != 0 {
			t.Errorf("compare %s = %d\n%s", p.Name, code, out)
		}
	}
	stop()

	others := 3 * len(foreign)
	out, code := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags}})
	if want := fmt.Sprintf("8 events of ours read, %d of others passed over, 0 findings", others); code != 0 || !strings.Contains(out, want) {
		t.Errorf("audit = %d, want 0 and %q\n%s", code, want, out)
	}
	var report auditing.Report
	out, code = projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags, JSON: true}})
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || report.Events != 8 || report.Others != int64(others) {
		t.Errorf("audit --json = %d, %v, %+v", code, err, report)
	}
	if out, code := projectionsRun(t, &MeteringReconcileCmd{ReadModelFlags: r.flags}); code != 0 {
		t.Errorf("reconcile = %d\n%s", code, out)
	}
	if out, code := projectionsRun(t, &EventsCmd{LogFlags: r.flags.LogFlags, JSON: true}); code != 0 || strings.Count(out, "\n") != 8+others {
		t.Errorf("events = %d, %d lines", code, strings.Count(out, "\n"))
	}
	if out, code := projectionsRun(t, &EventsCmd{LogFlags: r.flags.LogFlags, JSON: true, Ours: true}); code != 0 || strings.Count(out, "\n") != 8 {
		t.Errorf("events --ours = %d\n%s", code, out)
	}
	if out, code := projectionsRun(t, &EventsCmd{LogFlags: r.flags.LogFlags, JSON: true, Ours: true, Last: 20}); code != 0 || strings.Count(out, "\n") != 8 {
		t.Errorf("events --ours -n 20 = %d\n%s", code, out)
	}
}

// TestStrangerInOurStreamIsFound: what another program writes into a stream of ours breaks its count, and the audit says so.
func TestStrangerInOurStreamIsFound(t *testing.T) {
	t.Parallel()
	r := openReadModels(t)
	subscription := uuid.New()
	r.count(t, subscription, 0, 2)
	before, _ := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags}})
	stream := domain.UsageStream(subscription, domain.Month{Year: 2026, Month: 11})
	appendRaw(t, r.flags.EventStore, stream, "CustomerMoved", `{}`, ``)
	out, code := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags}})
	if code != exitFindings || strings.Count(out, "\n"+stream+"@") != strings.Count(before, "\n"+stream+"@")+1 || !strings.Contains(out, "CustomerMoved") {
		t.Errorf("audit = %d\n%s\nbefore it was\n%s", code, out, before)
	}
}
