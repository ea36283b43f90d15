package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain/audit"
)

// The report as a page and as text names what was found, and is whole.
func TestAuditReportAsPageAndText(t *testing.T) {
	t.Parallel()
	report := auditing.Report{
		Events: 7, Compared: []string{"rules"}, Subscriptions: []audit.Standing{{SubscriptionID: uuid.Max, Keys: []audit.HeldKey{{Slot: "primary", Prefix: "lc_first"}}}},
		Months: []audit.Month{{SubscriptionID: uuid.Max, Counted: 7}}, Hours: []audit.Hour{{Counted: 3}}, Changes: []audit.Change{{What: "a change"}}, Skips: []audit.Skip{{Actor: "operator"}},
		ReadModels:   []auditing.ReadModel{{Name: "usage", Tables: []auditing.Table{{Name: "checks", Shown: 1, ByLog: 2}}}},
		Transparency: auditing.Transparency{Keys: []string{"a key"}}, Findings: []audit.Finding{{Stream: "usage-1", Revision: 4, Position: 12, Problem: "<b>wrong</b>"}},
	}
	var page, text bytes.Buffer
	if err := printVerificationPage(&page, report); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"usage-1", "&lt;b&gt;wrong", "1 findings", "lc_first", "a change", "DIFFERENT", "a key", "</html>"} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if err := printVerification(&text, report, true, true); err != nil || !strings.Contains(text.String(), "usage-1@4 (position 12): <b>wrong</b>") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// The page of one customer does not say of the whole log that nothing differs.
func TestTheVerdictOfThePageIsOnWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	finding := []audit.Finding{{Problem: "wrong"}}
	for want, report := range map[string]auditing.Report{
		`<p class="verdict good">The log proves what it says: nothing differs.</p>`:                   {},
		`<p class="verdict">Nothing differs for this customer; the log has 2 findings elsewhere.</p>`: {OfOthers: 2},
		`<p class="verdict bad">1 findings, and 3 more that are not listed</p>`:                       {Findings: finding, Unlisted: 3, OfOthers: 2},
		`<p class="verdict bad">0 findings, and 3 more that are not listed</p>`:                       {Unlisted: 3, OfOthers: 1000},
		`<p class="verdict bad">1 findings</p>`:                                                       {Findings: finding},
	} {
		var page bytes.Buffer
		if err := printVerificationPage(&page, report); err != nil || !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s, %v:\n%s", want, err, page.String())
		}
	}
}
