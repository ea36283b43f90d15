package auditing_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// A report about one customer leaves out what is known to be of others, counts what it leaves out, and keeps what is everybody's.
func TestReportIsNarrowed(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	november := domain.MonthOf(noon)
	subscriptions := map[string]domain.Subscription{}
	for _, name := range []string{"ada", "eve"} {
		identity := domain.MarketplaceIdentity{LicenseARN: "l-" + name, AWSAccountID: "123456789012", ProductCode: "product"}
		started := domain.Subscription{}.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 100}, noon)[0]
		s := domain.Subscription{}.Fold(started)
		subscriptions[name] = s
		l.write(t, domain.SubscriptionStream(s.ID), started)
		l.write(t, domain.APIKeysStream(s.CustomerID), domain.APIKeys{}.Issue(s.CustomerID, s.ID, domain.KeyDigest{}, domain.KeyDigest{}, noon)[0])
		for months := range 2 {
			at := noon.AddDate(0, months, 0)
			call, err := domain.UsageMonth{Month: domain.MonthOf(at)}.Count(s, 0, domain.Check{ID: uuid.New(), At: at})
			if err != nil {
				t.Fatal(err)
			}
			l.write(t, domain.UsageStream(s.ID, call.Month), call)
		}
	}
	l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	l.write(t, domain.ProjectionStream("usage"), domain.ProjectionSkipped{ReadModel: "usage", EventID: uuid.New()})
	for i := range l.entries {
		l.entries[i].Damage = errors.New("damaged")
	}
	l.write(t, "account-nobody", domain.PersonalDataErased{}) // that nobody is known to be
	l.entries[len(l.entries)-1].Damage = errors.New("damaged")
	ada := subscriptions["ada"]
	for name, test := range map[string]struct {
		scope           auditing.Scope
		subscriptions   int
		months, changes int
		mine, others    int // findings of damage
	}{
		"everybody":              {auditing.Scope{}, 2, 4, 4, 11, 0},
		"a month":                {auditing.Scope{Month: november}, 2, 2, 4, 11, 0},
		"another month":          {auditing.Scope{Month: november.Next()}, 2, 2, 0, 11, 0},
		"a subscription":         {auditing.Scope{Subscription: ada.ID}, 1, 2, 2, 7, 4},
		"a customer":             {auditing.Scope{Customer: ada.CustomerID}, 1, 2, 2, 7, 4},
		"both, and a month":      {auditing.Scope{Customer: ada.CustomerID, Subscription: ada.ID, Month: november}, 1, 1, 2, 7, 4},
		"a subscription of hers": {auditing.Scope{Customer: subscriptions["eve"].CustomerID, Subscription: ada.ID}, 0, 0, 0, 7, 4},
	} {
		report, err := auditing.Verify(t.Context(), auditing.Verification{Log: l}, test.scope)
		if err != nil {
			t.Fatal(err)
		}
		mine := 0
		for _, f := range report.Findings {
			if strings.HasSuffix(f.Problem, "damaged") {
				mine++
			}
		}
		if len(report.Subscriptions) != test.subscriptions || len(report.Months) != test.months || len(report.Changes) != test.changes ||
			len(report.Accounts) != test.subscriptions || mine != test.mine || report.OfOthers != int64(test.others) || len(report.Skips) != 1 {
			t.Errorf("%s: %d subscriptions, %d months, %d changes, %d accounts, %d findings and %d of others: %v", name, len(report.Subscriptions),
				len(report.Months), len(report.Changes), len(report.Accounts), mine, report.OfOthers, report.Findings)
		}
	}
}

// The report names all that the log was held against.
func TestReportNamesWhatItCompared(t *testing.T) {
	t.Parallel()
	l, stored, held := signedLog(t)
	report, err := auditing.Verify(t.Context(), auditing.Verification{
		Log: l, StoredTree: stored, Held: []auditing.Held{held}, ReadModels: new(shown).wholly(120), AskedAWS: true, Billed: []audit.Billed{},
	}, auditing.Scope{})
	want := []string{"rules", "AWS", "read models", "checkpoints", "stored tree", "kept.txt"}
	if err != nil || !slices.Equal(report.Compared, want) {
		t.Errorf("compared with %v, want %v; %v", report.Compared, want, err)
	}
}
