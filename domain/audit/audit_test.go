package audit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	identity = domain.MarketplaceIdentity{AWSAccountID: "123456789012", ProductCode: "product", LicenseARN: "arn:aws:license-manager:us-east-1:123456789012:license:l-audited"}
)

// logbook writes a log as the store would: positions and revisions follow.
type logbook struct {
	position  uint64
	revisions map[string]uint64
	events    []domain.Recorded
	at        time.Time // the log's clock when it is not to follow the position
	actor     string    // domain.ActorSystem by default
}

func (l *logbook) write(stream string, event domain.Event) *domain.Recorded {
	if l.revisions == nil {
		l.revisions = map[string]uint64{}
	}
	l.position += 10
	at, actor := l.at, l.actor
	if actor == "" {
		actor = domain.ActorSystem
	}
	if at.IsZero() {
		at = noon.Add(time.Duration(l.position) * time.Second)
	}
	l.events = append(l.events, domain.Recorded{
		Stream: stream, Revision: l.revisions[stream], Position: l.position, RecordedAt: at,
		Meta: domain.Metadata{Actor: actor, OccurredAt: at.Add(-time.Second)}, Event: event,
	})
	l.revisions[stream]++
	return &l.events[len(l.events)-1]
}

// honestLog is a subscription that is used beyond its limit, switches to stop and gets a bigger plan.
func honestLog(t *testing.T) (*logbook, uuid.UUID) {
	t.Helper()
	log := &logbook{}
	id := domain.SubscriptionIDForLicence(identity.LicenseARN)
	var s domain.Subscription
	var usage domain.UsageMonth
	revision := -1
	happen := func(event domain.Event) {
		s, revision = s.Fold(event), revision+1
		log.write(domain.SubscriptionStream(id), event)
	}
	count := func(n int) {
		for range n {
			usage.Month = domain.MonthOf(noon)
			event, err := usage.Count(s, uint64(revision), domain.Check{ID: uuid.New(), At: noon.Add(time.Duration(log.position+10) * time.Second), KeySlot: domain.SlotPrimary})
			if err != nil {
				t.Fatal(err)
			}
			usage = usage.Fold(event)
			log.write(domain.UsageStream(id, usage.Month), event)
		}
	}
	happen(s.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 3}, noon)[0])
	count(5)
	happen(domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: noon})
	happen(domain.PlanChanged{SubscriptionID: id, FromPlan: domain.PlanStarter, FromLimit: 3, Plan: domain.PlanStandard, Limit: 8, ChangedAt: noon})
	count(3)
	return log, id
}

func audited(log *logbook) *audit.Audit {
	a := audit.New()
	for _, r := range log.events {
		a.Observe(r)
	}
	return a
}

// problems returns what was found, by category of the stream and revision.
func problems(findings []audit.Finding) (found []string) {
	for _, f := range findings {
		category, _, _ := strings.Cut(f.Stream, "-")
		found = append(found, fmt.Sprintf("%s@%d: %s", category, f.Revision, f.Problem))
	}
	return found
}

func TestAuditProvesAnHonestLog(t *testing.T) {
	t.Parallel()
	log, id := honestLog(t)
	a := audited(log)
	if diff := cmp.Diff([]string(nil), problems(a.Findings())); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	want := []audit.Month{{
		SubscriptionID: id, CustomerID: domain.CustomerIDForSubscription(id), Month: domain.MonthOf(noon), Counted: 8, Included: 6, Overage: 2,
		FirstAt: noon.Add(20 * time.Second), LastAt: noon.Add(110 * time.Second), // of the events: a copy of the log keeps them
	}}
	if diff := cmp.Diff(want, a.Months()); diff != "" {
		t.Errorf("months (-want +got):\n%s", diff)
	}
}

// What decided how calls were treated, in words, with who did it.
func TestAuditListsChanges(t *testing.T) {
	t.Parallel()
	log := &logbook{actor: domain.ActorUser}
	id, customer := uuid.New(), uuid.New()
	for _, event := range []domain.Event{
		domain.SubscriptionStarted{SubscriptionID: id, Plan: domain.PlanStarter, Limit: 3},
		domain.AgreementLinked{SubscriptionID: id, AgreementID: "agmt-1"}, // treats no call differently
		domain.PlanChanged{SubscriptionID: id, FromPlan: domain.PlanStarter, FromLimit: 3, Plan: domain.PlanStandard, Limit: 8},
		domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue, To: domain.OverageStop},
		domain.OverageSwitched{SubscriptionID: id, From: domain.OverageStop, To: domain.OverageContinue, Ceiling: 5},
		domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue, FromCeiling: 5, To: domain.OverageContinue},
		domain.UnsubscribeRequested{SubscriptionID: id}, domain.SubscriptionRenewed{SubscriptionID: id},
		domain.SubscriptionEnded{SubscriptionID: id, Reason: "cancelled"},
	} {
		log.write(domain.SubscriptionStream(id), event)
	}
	log.write(domain.APIKeysStream(customer), domain.KeyIssued{SubscriptionID: id, Slot: domain.SlotPrimary, Key: domain.KeyDigest{Prefix: "lc_old"}})
	log.write(domain.APIKeysStream(customer), domain.KeyRegenerated{SubscriptionID: id, Slot: domain.SlotPrimary,
		OldKey: domain.KeyDigest{Prefix: "lc_old"}, NewKey: domain.KeyDigest{Prefix: "lc_new"}})
	var got []string
	for _, change := range audited(log).Changes() {
		if change.SubscriptionID != id || change.Actor != domain.ActorUser || change.At != noon.Add(time.Duration(change.Position-1)*time.Second) {
			t.Errorf("%+v: want it to name the subscription, the user and the place in the log", change)
		}
		got = append(got, change.What)
	}
	want := []string{
		"subscription started: starter, 3 calls a month", "plan changed from starter (3) to standard (8)",
		"over-limit behaviour switched from continue to stop", "over-limit behaviour switched from stop to continue up to 5 calls beyond the plan",
		"over-limit behaviour switched from continue up to 5 calls beyond the plan to continue", "unsubscription requested", "subscription renewed", "subscription ended: cancelled",
		"primary key lc_old issued", "primary key lc_old replaced by lc_new",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// A call may have been decided on an older state: it is told, and right.
func TestCallsOnAnOlderStateAreCounted(t *testing.T) {
	t.Parallel()
	log, id := honestLog(t)
	event := log.events[5].Event.(domain.CheckCompleted)
	log.events[5], log.events[6] = log.events[6], log.events[5] // the switch comes before the fifth call
	log.events[5].Position, log.events[6].Position = log.events[6].Position, log.events[5].Position
	a := audited(log)
	if months := a.Months(); len(months) != 1 || months[0].SubscriptionID != id || months[0].OnOlderState != 1 || len(a.Findings()) > 0 {
		t.Errorf("call %d on an older state: %+v, findings %v", event.Ordinal, months, a.Findings())
	}
}

// Whatever is changed in a log is found, where it was changed.
func TestAuditFindsTampering(t *testing.T) {
	t.Parallel()
	check := func(change func(*domain.CheckCompleted)) func(*logbook, domain.CheckCompleted, *domain.Recorded) {
		return func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) { change(&e); r.Event = e }
	}
	for name, test := range map[string]struct {
		tamper func(*logbook, domain.CheckCompleted, *domain.Recorded)
		want   []string
	}{
		"a call left out": {func(_ *logbook, _ domain.CheckCompleted, r *domain.Recorded) { r.Event = domain.LoginSucceeded{} }, []string{
			"usage@5: it should say ordinal 5, included, totals 4 and 1 of standard (8)",
		}},
		"an ordinal changed": {check(func(e *domain.CheckCompleted) { e.Ordinal++ }), []string{
			"usage@4: it should say ordinal 5, overage, totals 3 and 2 of starter (3)",
		}},
		"overage called included": {check(func(e *domain.CheckCompleted) { e.Billing = domain.BillingIncluded }), []string{
			"usage@4: it should say ordinal 5, overage, totals 3 and 2 of starter (3)",
		}},
		"totals changed": {check(func(e *domain.CheckCompleted) { e.OverageTotal++ }), []string{
			"usage@4: it should say ordinal 5, overage, totals 3 and 2 of starter (3)",
			"usage@5: it should say ordinal 7, included, totals 4 and 3 of standard (8)",
		}},
		"a limit changed": {check(func(e *domain.CheckCompleted) { e.Limit = 1000 }), []string{
			"usage@4: it should say ordinal 5, overage, totals 3 and 2 of starter (3)",
		}},
		"a verdict changed": {check(func(e *domain.CheckCompleted) { e.Judgement.FakeFace = true; e.Judgement.Threshold = 0.15 }), []string{
			"usage@4: its judgement contradicts itself: with a likelihood of 0 and a threshold of 0.15, fakeFace is true",
		}},
		"a state of the future": {check(func(e *domain.CheckCompleted) { e.SubscriptionRevision = 1 }), []string{
			"usage@4: it was decided on revision 1 of a subscription that had not come so far",
		}},
		"a month of its own": {check(func(e *domain.CheckCompleted) { e.Month = e.Month.Next() }), []string{
			"usage@4: a call of 2026-12 stands outside its stream usage-ID-202612",
			"usage@5: it should say ordinal 5, included, totals 4 and 1 of standard (8)",
		}},
		"a gap in the revisions": {func(_ *logbook, _ domain.CheckCompleted, r *domain.Recorded) { r.Revision++ }, []string{
			"usage@5: the stream's next revision is 4", "usage@5: the stream's next revision is 6",
		}},
		"a position twice": {func(_ *logbook, _ domain.CheckCompleted, r *domain.Recorded) { r.Position -= 10 }, []string{
			"usage@4: its position does not follow 50",
		}},
		"a call beyond the \"stop\"": {func(l *logbook, e domain.CheckCompleted, _ *domain.Recorded) {
			last := l.events[len(l.events)-1].Event.(domain.CheckCompleted)
			last.Ordinal, last.IncludedTotal, last.CheckID = last.Ordinal+1, last.IncludedTotal+1, uuid.New()
			l.write(domain.UsageStream(e.SubscriptionID, e.Month), last)
		}, []string{"usage@8: the call should have been refused: quota_exceeded"}},
		"a call beyond the ceiling": {func(l *logbook, e domain.CheckCompleted, _ *domain.Recorded) {
			last := l.events[len(l.events)-1].Event.(domain.CheckCompleted)
			l.write(domain.SubscriptionStream(e.SubscriptionID), domain.OverageSwitched{
				SubscriptionID: e.SubscriptionID, From: domain.OverageStop, To: domain.OverageContinue, Ceiling: 1,
			})
			for range 2 {
				last.Ordinal, last.OverageTotal, last.CheckID = last.Ordinal+1, last.OverageTotal+1, uuid.New()
				last.SubscriptionRevision, last.Overage, last.Billing = 3, domain.OverageContinue, domain.BillingOverage
				l.write(domain.UsageStream(e.SubscriptionID, e.Month), last)
			}
		}, []string{"usage@9: the call should have been refused: quota_exceeded: The ceiling of 1 calls beyond the plan's 8 is reached. " +
			"Raise it on the console's Plan screen or wait for the next month (UTC)."}},
		"a subscription in a stream of another kind": {func(l *logbook, e domain.CheckCompleted, _ *domain.Recorded) {
			l.write("account-42", domain.UnsubscribeRequested{SubscriptionID: e.SubscriptionID})
		}, []string{"account@0: UnsubscribeRequested stands in a stream of another kind"}},
	} {
		log, id := honestLog(t)
		fifth := &log.events[5]
		event, ok := fifth.Event.(domain.CheckCompleted)
		if !ok || event.Billing != domain.BillingOverage {
			t.Fatalf("the log is not as expected: %+v", event)
		}
		test.tamper(log, event, fifth)
		got := problems(audited(log).Findings())
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], id.String(), "ID")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAuditFindsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	log, _ := honestLog(t)
	replayed := audit.New()
	for i, recorded := range log.events {
		if i == 6 {
			replayed.Unreadable(recorded, errors.New("broken"))
			continue
		}
		replayed.Observe(recorded)
	}
	if diff := cmp.Diff("subscription@1: it cannot be read: broken", problems(replayed.Findings())[0]); diff != "" || replayed.Events() != int64(len(log.events)) {
		t.Errorf("%d events; findings (-want +got):\n%s", replayed.Events(), diff)
	}
}

func TestFindingInALine(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("95f7abad-42e1-5c0a-bfc7-9549dc46c693")
	for want, finding := range map[string]audit.Finding{
		"usage-1@7 (position 42): it is wrong":                           {Position: 42, Stream: "usage-1", Revision: 7, SubscriptionID: id, Problem: "it is wrong"},
		"subscription 95f7abad-42e1-5c0a-bfc7-9549dc46c693: it is wrong": {SubscriptionID: id, Problem: "it is wrong"},
		"it is wrong": {Problem: "it is wrong"},
	} {
		if got := finding.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAuditPassesOverEventsOfOthers(t *testing.T) {
	t.Parallel()
	log, id := honestLog(t)
	replayed := audit.New()
	for _, recorded := range log.events {
		replayed.Observe(recorded)
		replayed.PassOver(domain.Recorded{Stream: "crm-1", Revision: 7, Position: recorded.Position + 1}, "KeyIssued")
	}
	if n := int64(len(log.events)); replayed.Events() != n || replayed.Others() != n || len(replayed.Findings()) != 0 {
		t.Errorf("%d events, %d others, findings %v; want %d, %d, none", replayed.Events(), replayed.Others(), replayed.Findings(), n, n)
	}
	stream := domain.UsageStream(id, domain.MonthOf(noon))
	replayed.PassOver(domain.Recorded{Stream: stream, Revision: log.revisions[stream], Position: log.position + 2}, "KeyIssued")
	if findings := replayed.Findings(); len(findings) != 1 || findings[0].Stream != stream || !strings.Contains(findings[0].Problem, "KeyIssued") {
		t.Errorf("an event of another program in a stream of ours: %v", findings)
	}
}

// An event of a newer program of ours is told wherever it stands, and what follows it in its stream is no gap.
func TestAuditTellsOfNewerEvents(t *testing.T) {
	t.Parallel()
	ours := domain.Metadata{CorrelationID: uuid.New(), CausationID: uuid.New(), Actor: domain.ActorSystem, SchemaVersion: 1, OccurredAt: noon}
	customer := uuid.New()
	for _, stream := range []string{"novelty-1", domain.DevicesStream(customer)} {
		replayed := audit.New()
		replayed.PassOver(domain.Recorded{Stream: stream, Position: 1, Meta: ours}, "DeviceForgotten")
		replayed.Observe(domain.Recorded{Stream: stream, Revision: 1, Position: 2, Event: domain.DeviceFirstUsed{AccountID: customer}})
		findings := replayed.Findings()
		if len(findings) != 1 || findings[0].Stream != stream || !strings.Contains(findings[0].Problem, "DeviceForgotten") || !strings.Contains(findings[0].Problem, "newer") {
			t.Errorf("%s: %v", stream, findings)
		}
		if replayed.Events() != 2 || replayed.Others() != 0 {
			t.Errorf("%s: %d events, %d others", stream, replayed.Events(), replayed.Others())
		}
	}
}

// What cannot be read, or is somebody else's, has a place in its stream all the same: what stands behind it is no gap.
func TestAuditGoesOnBehindWhatItCannotTake(t *testing.T) {
	t.Parallel()
	customer := uuid.New()
	stream := domain.LoginsStream(customer)
	for name, take := range map[string]func(*audit.Audit, domain.Recorded){
		"unreadable":      func(a *audit.Audit, r domain.Recorded) { a.Unreadable(r, errors.New("broken")) },
		"somebody else's": func(a *audit.Audit, r domain.Recorded) { a.PassOver(r, "Note") },
	} {
		replayed := audit.New()
		log := &logbook{}
		for i := range 3 {
			recorded := *log.write(stream, domain.LoginSucceeded{CustomerID: customer})
			if i == 1 {
				take(replayed, recorded)
				continue
			}
			replayed.Observe(recorded)
		}
		if findings := replayed.Findings(); len(findings) != 1 || findings[0].Revision != 1 {
			t.Errorf("%s: findings %v, want one, of the event itself", name, findings)
		}
	}
}

// Commands go on behind what says nothing in a subscription's stream, and calls name the revision that it has taken.
func TestCallsBehindWhatTheAuditCannotTake(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		take func(*audit.Audit, domain.Recorded)
		want string
	}{
		"somebody else's": {func(a *audit.Audit, r domain.Recorded) { a.PassOver(r, "Note") },
			"subscription@1: Note, which is none of this program's events, stands in a stream of ours"},
		"unreadable": {func(a *audit.Audit, r domain.Recorded) { a.Unreadable(r, errors.New("broken")) }, "subscription@1: it cannot be read: broken"},
	} {
		log, id := honestLog(t)
		stream := domain.SubscriptionStream(id)
		first := log.events[0]
		replayed := audit.New()
		replayed.Observe(first)
		tt.take(replayed, domain.Recorded{Stream: stream, Revision: 1, Position: first.Position + 1, RecordedAt: first.RecordedAt})
		for _, recorded := range log.events[1:] {
			if recorded.Stream == stream {
				recorded.Revision++
			}
			if call, ok := recorded.Event.(domain.CheckCompleted); ok {
				call.SubscriptionRevision++
				recorded.Event = call
			}
			replayed.Observe(recorded)
		}
		if diff := cmp.Diff([]string{tt.want}, problems(replayed.Findings())); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
		if standings := replayed.Standings(); len(standings) != 1 || standings[0].Revision != 3 {
			t.Errorf("%s: standings %+v, want one at revision 3", name, standings)
		}
	}
}

// TestOnlyLoginsMayForget: a log may lack the beginning of a stream of logins, and nothing else.
func TestOnlyLoginsMayForget(t *testing.T) {
	t.Parallel()
	customer := uuid.New()
	for name, test := range map[string]struct {
		stream    string
		revisions []uint64
		findings  int
	}{
		"logins whose beginning is forgotten": {domain.LoginsStream(customer), []uint64{7, 8}, 0},
		"logins with a gap":                   {domain.LoginsStream(customer), []uint64{7, 9}, 1},
		"an account without its beginning":    {domain.AccountStream(customer), []uint64{7, 8}, 1},
		"a stream that only begins like one":  {"logins-42", []uint64{7, 8}, 1},
	} {
		replayed := audit.New()
		for i, revision := range test.revisions {
			replayed.Observe(domain.Recorded{Stream: test.stream, Revision: revision, Position: uint64(i + 1), Event: domain.LoginSucceeded{CustomerID: customer}})
		}
		if got := replayed.Findings(); len(got) != test.findings {
			t.Errorf("%s: %d findings, want %d: %v", name, len(got), test.findings, got)
		}
	}
}
