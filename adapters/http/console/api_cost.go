package console

import (
	"net/http"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// costAnswer is what the month costs beyond the plan so far, and where it leads.
type costAnswer struct {
	Month     domain.Month         `json:"month"`
	Limit     int64                `json:"limit"`
	Calls     int64                `json:"calls"`
	Overage   int64                `json:"overage"`  // calls counted beyond the plan
	Credited  int64                `json:"credited"` // of them
	Policy    domain.OveragePolicy `json:"policy"`
	Ceiling   *int64               `json:"ceiling"`
	PlanUSD   *int                 `json:"planUsd"`   // a month, null where the contract says it
	CallUSD   *float64             `json:"callUsd"`   // for a call beyond the plan, null where the operator has not said it
	AmountUSD *float64             `json:"amountUsd"` // for the overage that is not credited, null where a price is missing
	Forecast  *int64               `json:"forecast"`  // calls at the end of the month, null while that cannot be told
	Begun     float64              `json:"begun"`     // days of the month before the subscription started
	Passed    float64              `json:"passed"`    // days of the month so far
	Days      []dayAnswer          `json:"days"`
}

func (c *console) readCost(r *http.Request, user visitor) (any, error) {
	ctx, now := r.Context(), c.Now().UTC()
	month := domain.MonthOf(now)
	row, err := c.subscription(r, user.subscription)
	if err != nil {
		return nil, err
	}
	used, err := c.Models.Usage.Month(ctx, user.subscription, month)
	if err != nil {
		return nil, err
	}
	days, err := c.Models.Usage.Days(ctx, user.subscription, month)
	if err != nil {
		return nil, err
	}
	overage, err := c.Models.Usage.OverageByPlan(ctx, user.subscription, month)
	if err != nil {
		return nil, err
	}
	credits, err := c.Models.Metering.Credits(ctx, user.subscription)
	if err != nil {
		return nil, err
	}
	plan := c.planOf(row)
	answer := costAnswer{
		Month: month, Limit: row.Limit, Calls: used.Counted(), Overage: used.Overage, Policy: row.Overage, Ceiling: plan.Ceiling,
		Begun: max(0, daysBetween(month.Start(), row.StartedAt)), Passed: daysBetween(month.Start(), now),
	}
	answer.Days, _, _ = daysOf(days)
	for _, credit := range credits {
		if credit.Month == month {
			answer.Credited = credit.Calls
		}
	}
	if !plan.Custom {
		answer.PlanUSD = &plan.PriceUSD
	}
	if price, priced := c.OverLimitPrices[row.Plan]; priced {
		usd := price.USD(1)
		answer.CallUSD = &usd
	}
	if usd, known := domain.OverageUSD(overage, answer.Credited, c.OverLimitPrices); known && answer.CallUSD != nil {
		answer.AmountUSD = &usd
	}
	if row.Status == domain.StatusActive || row.Status == domain.StatusEnding {
		usage := domain.UsageMonth{Month: month, Included: used.Included, Overage: used.Overage}
		if calls, known := usage.Forecast(row.StartedAt, now); known {
			answer.Forecast = &calls
		}
	}
	return answer, nil
}

func daysBetween(from, to time.Time) float64 { return to.Sub(from).Hours() / 24 }
