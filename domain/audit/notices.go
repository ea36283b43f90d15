package audit

import "github.com/pas-ta/liveness/domain"

// checkNotice looks whether a customer was told what the log says: of usage that is counted, and of each threshold once.
func (a *Audit) checkNotice(r domain.Recorded, e domain.UsageThresholdReached) {
	if want := domain.UsageNoticesStream(e.SubscriptionID, e.Month); r.Stream != want {
		a.find(r, e.SubscriptionID, "a usage notice of %s stands outside its stream %s", e.Month, want)
		return
	}
	if counted := a.subscription(e.SubscriptionID).usage[e.Month].Counted(); counted < e.Counted {
		a.find(r, e.SubscriptionID, "the customer was told of %d calls, and %d are counted", e.Counted, counted)
	}
	if e.Counted*100 < e.Limit*e.Percent {
		a.find(r, e.SubscriptionID, "the customer was told of %d percent, and %d calls of %d are less", e.Percent, e.Counted, e.Limit)
	}
	told := a.notices[r.Stream]
	if told.PlanChanges > e.PlanChanges || told.PlanChanges == e.PlanChanges && told.Percent >= e.Percent {
		a.find(r, e.SubscriptionID, "the customer was told of %d percent after %d percent of the same plan or a later one",
			e.Percent, told.Percent)
	}
	a.notices[r.Stream] = told.Fold(e)
}
