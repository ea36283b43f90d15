package console

import (
	"net/http"
	"time"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

type planAnswer struct {
	ID             domain.PlanID             `json:"id"`
	Name           string                    `json:"name"`
	Limit          int64                     `json:"limit"`
	PriceUSD       int                       `json:"priceUsd"`
	Custom         bool                      `json:"custom"`
	Overage        domain.OveragePolicy      `json:"overage"`
	Ceiling        *int64                    `json:"ceiling"` // most calls beyond the limit with "continue", null for no end
	Status         domain.SubscriptionStatus `json:"status"`
	StartedAt      time.Time                 `json:"startedAt"`
	ExpiresAt      *time.Time                `json:"expiresAt"`
	EndedAt        *time.Time                `json:"endedAt"`
	AWSAccountID   string                    `json:"awsAccountId"`
	SubscriptionID string                    `json:"subscriptionId"`
}

func (c *console) planOf(row projections.SubscriptionRow) planAnswer {
	answer := planAnswer{
		ID: row.Plan, Name: c.planName(row.Plan), Limit: row.Limit, Overage: row.Overage, Status: row.Status, StartedAt: row.StartedAt,
		AWSAccountID: row.Marketplace.AWSAccountID, SubscriptionID: row.Marketplace.DisplayID(),
		ExpiresAt: unlessZero(row.ExpiresAt), EndedAt: unlessZero(row.EndedAt),
	}
	if row.Ceiling > 0 {
		answer.Ceiling = &row.Ceiling
	}
	if plan, err := c.Catalogue.Plan(row.Plan); err == nil {
		answer.PriceUSD, answer.Custom = plan.PriceUSD, plan.Custom
	}
	return answer
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type planScreenAnswer struct {
	Plan     planAnswer    `json:"plan"`
	Month    monthAnswer   `json:"month"`
	ResetsAt time.Time     `json:"resetsAt"`
	Plans    []domain.Plan `json:"plans"`
	Market   string        `json:"market"` // product page on AWS Marketplace, where the plan is changed; may be empty
}

func (c *console) readPlan(r *http.Request, user visitor) (any, error) {
	row, err := c.subscription(r, user.subscription)
	if err != nil {
		return nil, err
	}
	month := domain.MonthOf(c.Now())
	used, err := c.Models.Usage.Month(r.Context(), user.subscription, month)
	if err != nil {
		return nil, err
	}
	return planScreenAnswer{
		Plan: c.planOf(row), Month: c.monthOf(used, row.Limit, row.Plan), ResetsAt: month.End(), Plans: c.Catalogue.Plans(), Market: c.MarketplaceURL,
	}, nil
}

func (c *console) switchOverage(r *http.Request, user visitor) (any, error) {
	var body struct {
		To      domain.OveragePolicy `json:"to"`
		Ceiling *int64               `json:"ceiling"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	switched, err := c.Subscriptions.SwitchOverage(r.Context(), subscriptions.SwitchOverage{
		By: user.by(r.Context()), SubscriptionID: user.subscription, To: body.To, Ceiling: body.Ceiling,
	})
	if err != nil {
		return nil, err
	}
	return done{switched.Position}, nil
}
