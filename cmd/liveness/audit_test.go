package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// auditedCustomer writes the log of a customer as commands would.
type auditedCustomer struct {
	testing.TB
	r        *readModels
	state    domain.Subscription
	usage    domain.UsageMonth
	revision map[string]int64
	position uint64
	began    uint64 // position of the subscription's start
	calls    []uuid.UUID
}

// midnight is when all happens to whom is audited, so that it lies in the month in which the store records it.
var midnight = time.Now().UTC().Truncate(24 * time.Hour)

// newAuditedCustomer has a plan of three calls, and two keys.
func newAuditedCustomer(tb testing.TB, r *readModels, licence string) *auditedCustomer {
	tb.Helper()
	c := &auditedCustomer{TB: tb, r: r, usage: domain.UsageMonth{Month: domain.MonthOf(midnight)}, revision: map[string]int64{}}
	identity := domain.MarketplaceIdentity{AWSAccountID: "123456789012", ProductCode: "product", LicenseARN: "arn:aws:license-manager::1:license:" + licence}
	c.change(domain.Subscription{}.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 3}, midnight)...)
	c.began = c.position
	issued := domain.APIKeys{}.Issue(c.state.CustomerID, c.state.ID, domain.KeyDigest{Hash: licence + "1", Prefix: "lc_first"},
		domain.KeyDigest{Hash: licence + "2", Prefix: "lc_other"}, midnight)
	c.write(domain.APIKeysStream(c.state.CustomerID), issued...)
	return c
}

func (c *auditedCustomer) change(events ...domain.Event) {
	c.Helper()
	for _, event := range events {
		c.state = c.state.Fold(event)
		c.write(domain.SubscriptionStream(c.state.ID), event)
	}
}

func (c *auditedCustomer) write(stream string, events ...domain.Event) {
	c.Helper()
	expected, known := c.revision[stream]
	if !known {
		expected = commands.NoStream
	}
	proposed := make([]commands.Proposed, len(events))
	for i, event := range events {
		proposed[i] = commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{Actor: domain.ActorUser, CorrelationID: uuid.New(), OccurredAt: midnight}}
		if call, ok := event.(domain.CheckCompleted); ok {
			proposed[i].ID = call.CheckID
			c.calls = append(c.calls, call.CheckID)
		}
	}
	appended, err := c.r.store.Append(c.Context(), stream, expected, proposed)
	if err != nil {
		c.Fatal(err)
	}
	c.revision[stream], c.position = int64(appended.Revision), appended.Position
}

func (c *auditedCustomer) call(n int) {
	c.Helper()
	for range n {
		event, err := c.usage.Count(c.state, uint64(c.revision[domain.SubscriptionStream(c.state.ID)]), domain.Check{
			ID: uuid.New(), KeySlot: domain.SlotPrimary, At: midnight.Add(time.Duration(c.usage.Counted()) * time.Second),
			Judgement: domain.Judgement{FakeLikelihood: 0.0123, ValidFace: true, Brightness: 131.7, Threshold: 0.15, LatencyMS: 93, ModelPack: "default"},
		})
		if err != nil {
			c.Fatal(err)
		}
		c.usage = c.usage.Fold(event)
		c.write(domain.UsageStream(c.state.ID, c.usage.Month), event)
	}
}

// A row of a read model that somebody changed by hand, put in or took away is found, with the event that it comes from.
func TestAuditVerifyFindsChangedRows(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.All()...)
	stop := r.maintain(t)
	c, other := newAuditedCustomer(t, r, "l-audited"), newAuditedCustomer(t, r, "l-other")
	c.call(5)
	other.call(2)
	c.change(domain.OverageSwitched{SubscriptionID: c.state.ID, From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: midnight})
	for _, p := range projections.All() {
		r.waitFor(t, p.Name, c.position)
	}
	stop()
	verify := func(flags ScopeFlags) (report auditing.Report, code int) {
		out, code := projectionsRun(t, &AuditVerifyCmd{
			ReadModelFlags: ReadModelFlags{LogFlags: r.flags.LogFlags, Postgres: r.flags.Postgres, JSON: true}, ScopeFlags: flags, ReadModels: true,
		})
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("status %d: %v\n%s", code, err, out)
		}
		return report, code
	}
	if report, code := verify(ScopeFlags{}); code != 0 || len(report.Findings) > 0 || len(report.ReadModels) != len(projections.All()) ||
		report.Transparency.Compared != report.Transparency.Leaves || report.Transparency.Leaves != 14 {
		t.Fatalf("an honest database: %d, %+v, %+v", code, report.Findings, report.Transparency)
	}
	usage := domain.UsageStream(c.state.ID, c.usage.Month)
	keys, subscription := domain.APIKeysStream(c.state.CustomerID), domain.SubscriptionStream(c.state.ID)
	changes := []struct {
		sql, stream string
		revision    uint64
		problem     string
	}{
		{"update usage.checks set fake_likelihood = 0.9 where ordinal = 2 and subscription_id = $1", usage, 1, "fake_likelihood 0.9; the log says fake_likelihood 0.0123"},
		{"update usage.months set overage = 1 where subscription_id = $1", usage, 4, "shows overage 1; the log says overage 2"},
		{"delete from usage.days where subscription_id = $1", usage, 4, "usage.days lacks the row"},
		{"update usage.hours set included = included + 1 where subscription_id = $1", usage, 4, "usage.hours"},
		{"update traffic.calls set calls = 1 where subscription_id = $1", usage, 4, "traffic.calls"},
		{"update subscriptions.subscriptions set call_limit = 4000 where subscription_id = $1", subscription, 1, "call_limit 4000; the log says call_limit 3"},
		{"update api_keys.keys set prefix = 'lc_xxxxx' where subscription_id = $1 and slot = 'primary'", keys, 0, "prefix lc_xxxxx; the log says prefix lc_first"},
		{"update activity.activity set kind = 'PlanChanged' where kind = 'OverageSwitched' and $1::uuid is not null", subscription, 1, "kind PlanChanged; the log says kind OverageSwitched"},
		{"update metering.windows set counted = 7 where subscription_id = $1", usage, 4, "counted 7; the log says counted 2"},
		{"update transparency.leaves set hash = sha256('x') where $1::uuid is not null and stream = '" + keys + "' and revision = 1", keys, 1, "or the stored tree, was changed"},
	}
	for _, change := range changes {
		if _, err := r.pool.Exec(t.Context(), change.sql, c.state.ID); err != nil {
			t.Fatalf("%s: %v", change.sql, err)
		}
	}
	report, code := verify(ScopeFlags{})
	found := map[string]bool{}
	for _, f := range report.Findings {
		for _, change := range changes {
			if f.Stream == change.stream && f.Revision == change.revision && strings.Contains(f.Problem, change.problem) {
				found[change.sql] = true
			}
		}
	}
	for _, change := range changes {
		if !found[change.sql] {
			t.Errorf("not found, or elsewhere than at revision %d of %s: %s", change.revision, change.stream, change.sql)
		}
	}
	if code != exitFindings || t.Failed() {
		for _, f := range report.Findings {
			t.Logf("%s", f)
		}
		t.Errorf("status %d", code)
	}
	// Who asks for the other customer is told of theirs alone.
	if report, code = verify(ScopeFlags{Customer: other.state.CustomerID.String()}); code != 0 || report.OfOthers == 0 || len(report.Months) != 1 || report.Months[0].Counted != 2 {
		t.Errorf("of the other customer: %d, %+v", code, report)
	}
}

// What explain and replay say, read from a running node.
func TestAuditExplainsAndReplays(t *testing.T) {
	t.Parallel()
	r := openReadModels(t)
	c := newAuditedCustomer(t, r, "l-audited")
	c.call(2)
	middle := c.position
	c.change(domain.OverageSwitched{SubscriptionID: c.state.ID, From: domain.OverageContinue, To: domain.OverageContinue, Ceiling: 2, SwitchedAt: midnight})
	c.call(3)
	month := domain.MonthOf(midnight).String()
	for id, want := range map[string][]string{
		c.calls[0].String(): {"Call 1 of " + month + " was counted within the plan", "No call had been counted in " + month + " before", "primary key, which was lc_first…"},
		c.calls[4].String(): {
			"Call 5 of " + month + " was counted beyond the plan", "4 calls had been counted in " + month + " before: 3 within the plan, 1 beyond it",
			"up to 2 calls beyond the plan are served", "OverageSwitched, revision 1 of " + domain.SubscriptionStream(c.state.ID), "has not been reported to AWS yet",
		},
	} {
		out, code := projectionsRun(t, &AuditExplainCmd{LogFlags: r.flags.LogFlags, EventID: id})
		for _, words := range want {
			if code != 0 || !strings.Contains(out, words) {
				t.Errorf("explain %s = %d, without %q\n%s", id, code, words, out)
			}
		}
	}
	if out, code := projectionsRun(t, &AuditExplainCmd{LogFlags: r.flags.LogFlags, EventID: uuid.NewString()}); code != 1 || !strings.Contains(out, "refused") {
		t.Errorf("explain of nothing = %d\n%s", code, out)
	}
	for at, want := range map[string][]string{
		fmt.Sprint(middle):     {"active", "plan starter, 3 calls a month; beyond it: continue\n", month + ": 2 calls counted, 2 within the plan, 0 beyond it", "would have been call 3 of the 3"},
		fmt.Sprint(c.position): {"continue up to 2 calls beyond the plan", month + ": 5 calls counted, 3 within the plan, 2 beyond it", "Another call would have been refused", "primary lc_first…, secondary lc_other…"},
		fmt.Sprint(c.began):    {"active", "keys: none"},
		"2001-01-01T00:00:00Z": {"There was no such customer then"},
	} {
		out, code := projectionsRun(t, &AuditReplayCmd{LogFlags: r.flags.LogFlags, At: at})
		for _, words := range want {
			if code != 0 || !strings.Contains(out, words) {
				events, _ := projectionsRun(t, &EventsCmd{LogFlags: r.flags.LogFlags})
				t.Errorf("replay at %s = %d, without %q\n%s\n%s", at, code, words, out, events)
			}
		}
	}
	if out, code := projectionsRun(t, &AuditReplayCmd{LogFlags: r.flags.LogFlags, At: "yesterday"}); code != 1 || !strings.Contains(out, "2026-11-22T12:00:00Z") {
		t.Errorf("replay at no moment = %d\n%s", code, out)
	}
}
