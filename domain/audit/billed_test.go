package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// What AWS bills and what the log says of the same hour.
func TestCompareWithAWS(t *testing.T) {
	t.Parallel()
	const ours = "metering-ID-2026112212-starter_over"
	billed := func(change func(*audit.Billed)) []audit.Billed {
		b := audit.Billed{Buyer: "l-audited", Dimension: "starter_over", Hour: noon.Add(30 * time.Minute), Quantity: 3, RecordID: "aws-2026112212"}
		change(&b)
		return []audit.Billed{b}
	}
	same := billed(func(*audit.Billed) {})
	for name, test := range map[string]struct {
		outcomes []domain.MeteringOutcome
		billed   []audit.Billed
		want     []string
		inFlight int64
	}{
		"accepted and billed": {[]domain.MeteringOutcome{domain.MeteringSuccess}, same, nil, 0},
		"accepted and not billed": {[]domain.MeteringOutcome{domain.MeteringSuccess}, nil, []string{
			ours + " is accepted here, and AWS does not hold it"}, 0},
		"billed under another id": {[]domain.MeteringOutcome{domain.MeteringSuccess}, billed(func(b *audit.Billed) { b.RecordID = "aws-x" }), []string{
			ours + " is aws-2026112212 here and aws-x at AWS"}, 0},
		"billed with another quantity": {[]domain.MeteringOutcome{domain.MeteringSuccess}, billed(func(b *audit.Billed) { b.Quantity = 2 }), []string{
			ours + ": AWS bills 2, the record says 3"}, 0},
		"billed to another buyer": {[]domain.MeteringOutcome{domain.MeteringSuccess}, billed(func(b *audit.Billed) { b.Buyer = "l-other" }), []string{
			ours + " is accepted here, and AWS does not hold it",
			"AWS bills 3 of l-other, starter_over, 2026112212, which this log did not prepare"}, 0},
		"billed twice": {[]domain.MeteringOutcome{domain.MeteringSuccess}, append(same[:1:1], same...), []string{
			"AWS holds two records of l-audited, starter_over, 2026112212"}, 0},
		"billed unseen, its answer lost":      {[]domain.MeteringOutcome{domain.MeteringUnknown}, same, nil, 1},
		"not billed, its answer lost":         {[]domain.MeteringOutcome{domain.MeteringUnknown}, nil, nil, 0},
		"accepted as a duplicate, id unknown": {[]domain.MeteringOutcome{domain.MeteringUnknown, domain.MeteringDuplicate}, same, nil, 0},
		"quarantined, an answer lost":         {[]domain.MeteringOutcome{domain.MeteringUnknown, domain.MeteringLicenceRefused}, same, nil, 1},
		"billed though it was never sent":     {nil, same, []string{ours + " is open here, and AWS bills it"}, 0},
		"billed though it was throttled":      {[]domain.MeteringOutcome{domain.MeteringThrottled}, same, []string{ours + " is open here, and AWS bills it"}, 0},
		"billed though it was rejected":       {[]domain.MeteringOutcome{domain.MeteringDuplicate}, same, []string{ours + " is rejected here, and AWS bills it"}, 0},
		"billed though it was carried": {[]domain.MeteringOutcome{domain.MeteringTimestampRefused}, same, []string{
			ours + " is carried here, and AWS bills it"}, 0},
	} {
		l := newMeteredLog(t)
		l.call(3)
		l.seal(noon)
		r := l.prepare(noon, 3)
		for _, outcome := range test.outcomes {
			answer := ""
			if outcome == domain.MeteringSuccess {
				answer = "aws-2026112212"
			}
			r.attemptAs(outcome, answer)
		}
		replayed := audited(&l.logbook)
		settled := replayed.Settle()
		replayed.CompareWithAWS(&settled, test.billed)
		var got []string
		for _, f := range settled.Findings {
			got = append(got, strings.ReplaceAll(f.Problem, l.id.String(), "ID"))
		}
		if diff := cmp.Diff(test.want, got); diff != "" || settled.InFlight != test.inFlight {
			t.Errorf("%s: %d in flight, want %d (-want +got):\n%s", name, settled.InFlight, test.inFlight, diff)
		}
		if len(replayed.Findings()) > 0 {
			t.Errorf("%s: the replay itself finds %v", name, replayed.Findings())
		}
	}
}

// An hour whose calls were all credited is reported as nothing. When the answer is lost until it is too late the record is closed,
// and AWS may hold it.
func TestCompareRecordsOfNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		aws  int64
		want int
	}{{0, 0}, {1, 1}} {
		l := newMeteredLog(t)
		l.seal(noon)
		key := domain.NewUsageRecordKey(l.id, noon, domain.PlanStarter, "starter_over")
		l.write(key.Stream(), stamped(domain.UsageRecordPrepared{
			UsageRecordKey: key, LicenseARN: identity.LicenseARN, AWSAccountID: identity.AWSAccountID, ProductCode: identity.ProductCode,
		}))
		l.write(key.Stream(), domain.UsageRecordAttempted{UsageRecordKey: key, Attempt: 1})
		l.write(key.Stream(), domain.UsageRecordRejected{UsageRecordKey: key})
		replayed := audited(&l.logbook)
		settled := replayed.Settle()
		replayed.CompareWithAWS(&settled, []audit.Billed{{Buyer: "l-audited", Dimension: "starter_over", Hour: noon, Quantity: at.aws}})
		if len(settled.Findings) != at.want {
			t.Errorf("AWS bills %d: %+v", at.aws, settled.Findings)
		}
	}
}

// A listing from before 2026 names its buyers by an identifier of its own.
func TestCompareWithAWSByCustomerIdentifier(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	legacy := identity
	legacy.CustomerIdentifier = "legacy"
	l.change(domain.SubscriptionStarted{
		SubscriptionID: l.id, CustomerID: l.state.CustomerID, Marketplace: legacy, Plan: domain.PlanStarter, Overage: domain.OverageContinue, StartedAt: noon,
	})
	l.events = l.events[1:] // as if it had started so
	l.events[0].Revision, l.events[0].Position = 0, 10
	l.position, l.revisions[domain.SubscriptionStream(l.id)] = 10, 1
	l.seal(noon)
	key := domain.NewUsageRecordKey(l.id, noon, domain.PlanStarter, "starter_over")
	l.write(key.Stream(), stamped(domain.UsageRecordPrepared{UsageRecordKey: key, CustomerIdentifier: "legacy", ProductCode: legacy.ProductCode}))
	l.write(key.Stream(), domain.UsageRecordAccepted{UsageRecordKey: key, Outcome: domain.MeteringSuccess})
	replayed := audited(&l.logbook)
	settled := replayed.Settle()
	replayed.CompareWithAWS(&settled, []audit.Billed{{Buyer: "legacy", Dimension: "starter_over", Hour: noon}})
	if len(settled.Findings) > 0 {
		t.Errorf("findings: %v", settled.Findings)
	}
}
