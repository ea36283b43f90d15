package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// logbook writes a log as the store would: positions and revisions follow.
type logbook struct {
	position  uint64
	revisions map[string]uint64
	events    []domain.Recorded
}

func (l *logbook) write(stream string, event domain.Event) *domain.Recorded {
	if l.revisions == nil {
		l.revisions = map[string]uint64{}
	}
	l.position += 10
	l.events = append(l.events, domain.Recorded{
		Stream: stream, Revision: l.revisions[stream], Position: l.position, RecordedAt: noon.Add(time.Duration(l.position) * time.Second),
		Meta: domain.Metadata{Actor: domain.ActorSystem}, Event: event,
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
			event, err := usage.Count(s, uint64(revision), domain.Check{ID: uuid.New(), At: noon, KeySlot: domain.SlotPrimary})
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

func audit(log *logbook) *domain.Audit {
	a := domain.NewAudit()
	for _, r := range log.events {
		a.Observe(r)
	}
	return a
}

func TestAuditProvesAnHonestLog(t *testing.T) {
	t.Parallel()
	log, id := honestLog(t)
	a := audit(log)
	if findings := a.Findings(); len(findings) > 0 {
		t.Fatalf("findings: %+v", findings)
	}
	months := a.Months()
	if len(months) != 1 || months[0].SubscriptionID != id || months[0].Counted != 8 || months[0].Included != 6 || months[0].Overage != 2 || months[0].OnOlderState != 0 {
		t.Errorf("months: %+v", months)
	}
	if changes := a.Changes(); len(changes) != 3 || !strings.Contains(changes[1].What, "continue to stop") {
		t.Errorf("changes: %+v", changes)
	}
}

// Whatever is changed in a log is found.
func TestAuditFindsTampering(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(*logbook, domain.CheckCompleted, *domain.Recorded){
		"a call left out":    func(l *logbook, _ domain.CheckCompleted, r *domain.Recorded) { r.Event = domain.LoginSucceeded{} },
		"an ordinal changed": func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) { e.Ordinal++; r.Event = e },
		"overage called included": func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) {
			e.Billing = domain.BillingIncluded
			r.Event = e
		},
		"totals changed":         func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) { e.OverageTotal++; r.Event = e },
		"a limit changed":        func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) { e.Limit = 1000; r.Event = e },
		"a state of the future":  func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) { e.SubscriptionRevision = 9; r.Event = e },
		"a month of its own":     func(_ *logbook, e domain.CheckCompleted, r *domain.Recorded) { e.Month = e.Month.Next(); r.Event = e },
		"a gap in the revisions": func(_ *logbook, _ domain.CheckCompleted, r *domain.Recorded) { r.Revision++ },
		"a position twice":       func(_ *logbook, _ domain.CheckCompleted, r *domain.Recorded) { r.Position -= 10 },
		"a call beyond the \"stop\"": func(l *logbook, e domain.CheckCompleted, _ *domain.Recorded) {
			last := l.events[len(l.events)-1].Event.(domain.CheckCompleted)
			last.Ordinal, last.IncludedTotal, last.CheckID = last.Ordinal+1, last.IncludedTotal+1, uuid.New()
			l.write(domain.UsageStream(e.SubscriptionID, e.Month), last)
		},
	} {
		log, _ := honestLog(t)
		fifth := &log.events[5]
		event, ok := fifth.Event.(domain.CheckCompleted)
		if !ok || event.Billing != domain.BillingOverage {
			t.Fatalf("the log is not as expected: %+v", event)
		}
		tamper(log, event, fifth)
		if len(audit(log).Findings()) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestAuditPassesOverEventsOfOthers(t *testing.T) {
	t.Parallel()
	log, id := honestLog(t)
	audit := domain.NewAudit()
	for _, recorded := range log.events {
		audit.Observe(recorded)
		audit.PassOver(domain.Recorded{Stream: "crm-1", Revision: 7, Position: recorded.Position + 1}, "KeyIssued")
	}
	if n := int64(len(log.events)); audit.Events() != n || audit.Others() != n || len(audit.Findings()) != 0 {
		t.Errorf("%d events, %d others, findings %v; want %d, %d, none", audit.Events(), audit.Others(), audit.Findings(), n, n)
	}
	stream := domain.UsageStream(id, domain.MonthOf(noon))
	audit.PassOver(domain.Recorded{Stream: stream, Revision: log.revisions[stream], Position: log.position + 2}, "KeyIssued")
	if findings := audit.Findings(); len(findings) != 1 || findings[0].Stream != stream || !strings.Contains(findings[0].Problem, "KeyIssued") {
		t.Errorf("an event of another program in a stream of ours: %v", findings)
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
		audit := domain.NewAudit()
		for i, revision := range test.revisions {
			audit.Observe(domain.Recorded{Stream: test.stream, Revision: revision, Position: uint64(i + 1), Event: domain.LoginSucceeded{CustomerID: customer}})
		}
		if got := audit.Findings(); len(got) != test.findings {
			t.Errorf("%s: %d findings, want %d: %v", name, len(got), test.findings, got)
		}
	}
}
