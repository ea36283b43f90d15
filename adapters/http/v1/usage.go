package v1

import "github.com/pas-ta/liveness/domain"

// usageReport is the data of a usage answer.
type usageReport struct {
	Month             domain.Month         `json:"month"` // 2026-11, UTC
	Calls             int64                `json:"calls"`
	RemainingCalls    int64                `json:"remaining_calls"`
	OverLimitCalls    int64                `json:"over_limit_calls"`
	Plan              string               `json:"plan"`
	Limit             int64                `json:"limit"`               // calls per month
	OverLimitBehavior domain.OveragePolicy `json:"over_limit_behavior"` // continue or stop
	OverLimitCeiling  *int64               `json:"over_limit_ceiling"`  // most calls beyond the plan with continue, null for no end
	ResetsAt          string               `json:"resets_at"`           // when the next month begins
}

// usage answers GET /v1/usage from the log itself.
func (a *API) usage(x *exchange) (answer, error) {
	if err := x.authenticate(); err != nil {
		return nil, err
	}
	current, err := a.checks.Quota(x.request.Context(), x.owner)
	if err != nil {
		return nil, err
	}
	x.quota = quotaOf(current)
	subscription := current.Subscription
	if !subscription.Serves() {
		return nil, domain.ErrSubscriptionInactive
	}
	name := string(subscription.Plan)
	if plan, err := a.plans.Plan(subscription.Plan); err == nil {
		name = plan.Name // a plan that is no longer sold keeps its id as its name
	}
	report := usageReport{
		Month: current.Usage.Month, Calls: current.Usage.Counted(), RemainingCalls: current.Remaining(), OverLimitCalls: current.OverLimit(),
		Plan: name, Limit: subscription.Limit, OverLimitBehavior: subscription.Overage, ResetsAt: timestamp(current.Usage.Month.End()),
	}
	if subscription.Ceiling > 0 {
		report.OverLimitCeiling = &subscription.Ceiling
	}
	return report, nil
}
