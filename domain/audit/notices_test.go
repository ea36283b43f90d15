package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Customers are told of what is counted, and of each threshold once.
func TestAuditChecksUsageNotices(t *testing.T) {
	t.Parallel()
	notice := func(id uuid.UUID, percent, counted int64, planChanges int) domain.UsageThresholdReached {
		return domain.UsageThresholdReached{SubscriptionID: id, Month: domain.MonthOf(noon), Percent: percent, Counted: counted, Limit: 8, PlanChanges: planChanges}
	}
	for name, c := range map[string]struct {
		notices []domain.UsageThresholdReached // of a month with 8 calls
		want    []string
	}{
		"each once":            {[]domain.UsageThresholdReached{notice(uuid.Nil, 80, 7, 0), notice(uuid.Nil, 100, 8, 0), notice(uuid.Nil, 80, 7, 1)}, nil},
		"exactly reached":      {[]domain.UsageThresholdReached{notice(uuid.Nil, 75, 6, 0)}, nil},
		"twice":                {[]domain.UsageThresholdReached{notice(uuid.Nil, 80, 7, 0), notice(uuid.Nil, 80, 8, 0)}, []string{"usagenotices@1: the customer was told of 80 percent after 80 percent of the same plan or a later one"}},
		"of an earlier plan":   {[]domain.UsageThresholdReached{notice(uuid.Nil, 80, 7, 1), notice(uuid.Nil, 100, 8, 0)}, []string{"usagenotices@1: the customer was told of 100 percent after 80 percent of the same plan or a later one"}},
		"of more than counted": {[]domain.UsageThresholdReached{notice(uuid.Nil, 100, 9, 0)}, []string{"usagenotices@0: the customer was told of 9 calls, and 8 are counted"}},
		"of more than reached": {[]domain.UsageThresholdReached{notice(uuid.Nil, 76, 6, 0)}, []string{"usagenotices@0: the customer was told of 76 percent, and 6 calls of 8 are less"}},
	} {
		log, id := honestLog(t)
		for _, n := range c.notices {
			n.SubscriptionID = id
			log.write(domain.UsageNoticesStream(id, n.Month), n)
		}
		if diff := cmp.Diff(c.want, problems(audited(log).Findings())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	log, id := honestLog(t)
	log.write(domain.UsageNoticesStream(uuid.New(), domain.MonthOf(noon)), notice(id, 80, 7, 0))
	if found := problems(audited(log).Findings()); len(found) != 1 {
		t.Errorf("a notice outside its stream: %v", found)
	}
}
