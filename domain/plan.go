package domain

import "fmt"

// PlanID names a plan in events and configuration; it is also the plan's dimension in the AWS Marketplace listing.
type PlanID string

// The plans of the listing.
const (
	PlanStarter      PlanID = "starter"
	PlanStandard     PlanID = "standard"
	PlanProfessional PlanID = "professional"
	PlanBusiness     PlanID = "business"
	PlanEnterprise   PlanID = "enterprise"
)

// Plan is one row of the price list.
type Plan struct {
	ID               PlanID `json:"id"`
	Name             string `json:"name"`
	MonthlyCalls     int64  `json:"monthlyCalls"`     // calls included in a calendar month; the least for a custom plan
	PriceUSD         int    `json:"priceUsd"`         // per month; the least for a custom plan
	Custom           bool   `json:"custom,omitempty"` // the contract says how many calls are included
	OverageDimension string `json:"overageDimension"` // metered dimension of calls beyond the plan: a price belongs to a dimension
}

// Catalogue is the set of plans that are sold.
type Catalogue struct {
	plans []Plan
}

// CatalogueOf sells plans, which it lists in this order.
func CatalogueOf(plans ...Plan) Catalogue { return Catalogue{plans: plans} }

// DefaultCatalogue holds the plans of the AWS Marketplace listing.
func DefaultCatalogue() Catalogue {
	return CatalogueOf(
		Plan{ID: PlanStarter, Name: "Starter", MonthlyCalls: 1_000, PriceUSD: 180, OverageDimension: "starter_over"},
		Plan{ID: PlanStandard, Name: "Standard", MonthlyCalls: 5_000, PriceUSD: 750, OverageDimension: "standard_over"},
		Plan{ID: PlanProfessional, Name: "Professional", MonthlyCalls: 10_000, PriceUSD: 1_200, OverageDimension: "pro_over"},
		Plan{ID: PlanBusiness, Name: "Business", MonthlyCalls: 30_000, PriceUSD: 2_400, OverageDimension: "business_over"},
		Plan{ID: PlanEnterprise, Name: "Enterprise", MonthlyCalls: 100_000, PriceUSD: 5_000, Custom: true, OverageDimension: "enterprise_over"},
	)
}

// Plans lists the plans in the order of the price list.
func (c Catalogue) Plans() []Plan { return append([]Plan(nil), c.plans...) }

// Plan finds a plan by id.
func (c Catalogue) Plan(id PlanID) (Plan, error) {
	for _, p := range c.plans {
		if p.ID == id {
			return p, nil
		}
	}
	return Plan{}, &Error{Kind: KindInvalid, Code: "unknown_plan", Field: "plan",
		Message: fmt.Sprintf("The plan %q is not one we know. Please contact support.", id)}
}

// Limit is the number of calls a subscription of the plan includes per month. Only a custom plan looks at the number in
// the contract; for all others the entitlement's quantity counts the plan itself (1).
func (p Plan) Limit(contracted int64) int64 {
	if p.Custom && contracted > 1 {
		return contracted
	}
	return p.MonthlyCalls
}
