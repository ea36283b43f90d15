package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// recentChecks is how many checks the overview lists.
const recentChecks = 8

// subscription returns where a subscription stands. One that has started moments ago may not be in the read model
// yet; the log has it.
func (c *console) subscription(r *http.Request, id uuid.UUID) (projections.SubscriptionRow, error) {
	row, known, err := c.Models.Subscriptions.Subscription(r.Context(), id)
	if err != nil || known {
		return row, err
	}
	s, err := c.Subscriptions.Subscription(r.Context(), id)
	if s.Status == domain.StatusScheduled {
		s.StartedAt = s.StartsAt
	}
	return projections.SubscriptionRow{
		ID: s.ID, CustomerID: s.CustomerID, Marketplace: s.Marketplace, Plan: s.Plan, Limit: s.Limit, Overage: s.Overage, Ceiling: s.Ceiling,
		Status: s.Status, StartedAt: s.StartedAt, ExpiresAt: s.ExpiresAt,
	}, err
}

func (c *console) planName(id domain.PlanID) string {
	if plan, err := c.Catalogue.Plan(id); err == nil {
		return plan.Name
	}
	return string(id)
}

type overviewAnswer struct {
	Plan      planAnswer    `json:"plan"`
	Month     monthAnswer   `json:"month"`
	ResetsAt  time.Time     `json:"resetsAt"`
	Today     string        `json:"today"`
	Days      []dayAnswer   `json:"days"`
	Recent    []checkAnswer `json:"recent"`
	EverUsed  bool          `json:"everUsed"`
	FakeShare *float64      `json:"fakeShare"` // of this month's calls, null without any

	WarnPercent int64 `json:"warnPercent"` // of the plan, from where on a banner warns
}

type monthAnswer struct {
	Month     domain.Month `json:"month"`
	Calls     int64        `json:"calls"`
	Included  int64        `json:"included"`
	Overage   int64        `json:"overage"`
	Limit     int64        `json:"limit"`
	Remaining int64        `json:"remaining"`
	OverLimit int64        `json:"overLimit"`
	Plan      string       `json:"plan"`
	Reported  int64        `json:"reported"` // of the overage, what AWS has accepted; only in lists of months
	Credited  int64        `json:"credited"` // of the overage, what was credited; only in lists of months
}

func (c *console) monthOf(m projections.MonthlyUsage, limit int64, plan domain.PlanID) monthAnswer {
	usage := domain.UsageMonth{Month: m.Month, Included: m.Included, Overage: m.Overage}
	return monthAnswer{
		Month: m.Month, Calls: usage.Counted(), Included: m.Included, Overage: m.Overage, Limit: limit,
		Remaining: usage.Remaining(limit), OverLimit: usage.OverLimit(limit), Plan: c.planName(plan),
	}
}

type dayAnswer struct {
	Day      string `json:"day"`
	Included int64  `json:"included"`
	Overage  int64  `json:"overage"`
	Fake     int64  `json:"fake"`
}

func daysOf(days []projections.DailyUsage) (answers []dayAnswer, calls, fake int64) {
	answers = make([]dayAnswer, 0, len(days))
	for _, day := range days {
		answers = append(answers, dayAnswer{day.Day.Format(time.DateOnly), day.Included, day.Overage, day.Fake})
		calls += day.Included + day.Overage
		fake += day.Fake
	}
	return answers, calls, fake
}

type checkAnswer struct {
	ID             uuid.UUID           `json:"id"`
	Month          domain.Month        `json:"month"`
	Ordinal        int64               `json:"ordinal"`
	At             time.Time           `json:"at"`
	Billing        domain.BillingClass `json:"billing"`
	KeySlot        domain.KeySlot      `json:"keySlot"`
	FakeLikelihood float64             `json:"fakeLikelihood"`
	FakeFace       bool                `json:"fakeFace"`
	ValidFace      bool                `json:"validFace"`
	Brightness     float64             `json:"brightness"`
	LatencyMS      int64               `json:"latencyMs"`
}

func checksOf(checks []projections.CountedCheck) []checkAnswer {
	answers := make([]checkAnswer, 0, len(checks))
	for _, k := range checks {
		answers = append(answers, checkAnswer{
			ID: k.CheckID, Month: k.Month, Ordinal: k.Ordinal, At: k.CompletedAt, Billing: k.Billing, KeySlot: k.KeySlot,
			FakeLikelihood: k.FakeLikelihood, FakeFace: k.FakeFace, ValidFace: k.ValidFace, Brightness: k.Brightness, LatencyMS: k.LatencyMS,
		})
	}
	return answers
}

func (c *console) readOverview(r *http.Request, user visitor) (any, error) {
	ctx := r.Context()
	now := c.Now().UTC()
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
	checks, err := c.Models.Usage.Checks(ctx, user.subscription, projections.CheckFilter{}, projections.CheckCursor{}, recentChecks)
	if err != nil {
		return nil, err
	}
	settings, err := c.notices().Settings(ctx, user.customer)
	if err != nil && !errors.Is(err, commands.ErrStoreUnavailable) { // the banner warns from the usual share on
		return nil, err
	}
	answer := overviewAnswer{
		WarnPercent: settings.WarnPercent(),
		Plan:        c.planOf(row), Month: c.monthOf(used, row.Limit, row.Plan), ResetsAt: month.End(), Today: now.Format(time.DateOnly),
		Recent: checksOf(checks), EverUsed: len(checks) > 0,
	}
	var calls, fake int64
	if answer.Days, calls, fake = daysOf(days); calls > 0 {
		share := float64(fake) / float64(calls)
		answer.FakeShare = &share
	}
	return answer, nil
}
