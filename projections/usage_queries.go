package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/notices"
	"github.com/pas-ta/liveness/domain"
)

// Usage answers questions about counted calls.
type Usage struct {
	pool *pgxpool.Pool
}

var (
	_ counting.CheckIndex = (*Usage)(nil)
	_ notices.UsageModel  = (*Usage)(nil)
)

// NewUsage queries through pool.
func NewUsage(pool *pgxpool.Pool) *Usage { return &Usage{pool: pool} }

// FindCheck finds the newest call of a month that was counted under an id made of an Idempotency-Key; ids that no client
// chose are not looked for. Indexed is the ordinal up to which the answer is complete.
func (u *Usage) FindCheck(ctx context.Context, subscription uuid.UUID, month domain.Month, check uuid.UUID) (ordinal int64, found bool, indexed int64, err error) {
	err = u.pool.QueryRow(ctx, `
		select
			coalesce((select max(ordinal) from usage.checks where keyed and check_id = $3 and subscription_id = $1 and month = $2), 0),
			coalesce((select ordinal from usage.months where subscription_id = $1 and month = $2), 0)`,
		subscription, month.Start(), check).Scan(&ordinal, &indexed)
	if err != nil {
		return 0, false, 0, fmt.Errorf("find check: %w", err)
	}
	return ordinal, ordinal > 0, indexed, nil
}

// MonthlyUsage is what a subscription used in one month.
type MonthlyUsage struct {
	Month    domain.Month
	Included int64 // counted calls within the plan
	Overage  int64 // counted calls beyond it
	Plan     domain.PlanID
	Limit    int64 // as of the newest call
	LastAt   time.Time
}

// Counted is the number of counted calls.
func (m MonthlyUsage) Counted() int64 { return m.Included + m.Overage }

const selectMonths = "select month, included, overage, plan, call_limit, last_at from usage.months where subscription_id = $1"

func scanMonth(row pgx.CollectableRow) (MonthlyUsage, error) {
	var m MonthlyUsage
	var start time.Time
	err := row.Scan(&start, &m.Included, &m.Overage, &m.Plan, &m.Limit, &m.LastAt)
	m.Month = domain.MonthOf(start)
	return m, err
}

// Month returns one month's use; zero counts when nothing was counted in it.
func (u *Usage) Month(ctx context.Context, subscription uuid.UUID, month domain.Month) (MonthlyUsage, error) {
	rows, _ := u.pool.Query(ctx, selectMonths+" and month = $2", subscription, month.Start())
	found, err := pgx.CollectRows(rows, scanMonth)
	if err != nil {
		return MonthlyUsage{}, fmt.Errorf("read usage of %s: %w", month, err)
	}
	if len(found) == 0 {
		return MonthlyUsage{Month: month}, nil
	}
	return found[0], nil
}

// Months lists the months with counted calls, newest first.
func (u *Usage) Months(ctx context.Context, subscription uuid.UUID) ([]MonthlyUsage, error) {
	rows, _ := u.pool.Query(ctx, selectMonths+" order by month desc", subscription)
	months, err := pgx.CollectRows(rows, scanMonth)
	if err != nil {
		return nil, fmt.Errorf("list months: %w", err)
	}
	return months, nil
}

// Used implements notices.UsageModel.
func (u *Usage) Used(ctx context.Context, month domain.Month, percent int64) ([]notices.CountedMonth, error) {
	rows, _ := u.pool.Query(ctx, `
		select subscription_id, included + overage from usage.months
		where month = $1 and (included + overage) * 100 >= call_limit * $2 order by subscription_id`, month.Start(), percent)
	used, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (notices.CountedMonth, error) {
		m := notices.CountedMonth{Month: month}
		return m, row.Scan(&m.SubscriptionID, &m.Counted)
	})
	if err != nil {
		return nil, fmt.Errorf("list what is used in %s: %w", month, err)
	}
	return used, nil
}

// DailyUsage is what a subscription used on one UTC day.
type DailyUsage struct {
	Day      time.Time
	Included int64
	Overage  int64
	Fake     int64 // of both, those judged to be fake
}

// Days returns every day of a month in order, also those without a call. They add up to the month.
func (u *Usage) Days(ctx context.Context, subscription uuid.UUID, month domain.Month) ([]DailyUsage, error) {
	rows, _ := u.pool.Query(ctx, `
		select every.day, coalesce(d.included, 0), coalesce(d.overage, 0), coalesce(d.fake, 0)
		from (select $2::date + n as day from generate_series(0, $3::date - $2::date - 1) as n) as every
		left join usage.days as d on d.subscription_id = $1 and d.day = every.day
		order by every.day`, subscription, month.Start(), month.End())
	days, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DailyUsage])
	if err != nil {
		return nil, fmt.Errorf("list days of %s: %w", month, err)
	}
	return days, nil
}

// CountedCheck is one counted call as the console shows it.
type CountedCheck struct {
	CheckID        uuid.UUID
	Month          domain.Month
	Ordinal        int64
	CompletedAt    time.Time
	Billing        domain.BillingClass
	KeySlot        domain.KeySlot
	FakeLikelihood float64
	FakeFace       bool
	ValidFace      bool
	Brightness     float64
	LatencyMS      int64
}

// CheckCursor is the place of a call in the list; the page after it shows older ones.
type CheckCursor struct {
	Month   domain.Month
	Ordinal int64
}

// Checks lists at most limit calls that a filter lets through, newest first, from behind a cursor on; the zero cursor begins
// with the newest. Each page is a walk along the primary key, past what the filter keeps out, or along the index of what it lets
// through.
func (u *Usage) Checks(ctx context.Context, subscription uuid.UUID, filter CheckFilter, behind CheckCursor, limit int) ([]CountedCheck, error) {
	query, args := checksQuery(subscription, filter, behind, limit)
	rows, _ := u.pool.Query(ctx, query, args...)
	checks, err := pgx.CollectRows(rows, scanCheck)
	if err != nil {
		return nil, fmt.Errorf("list checks: %w", err)
	}
	return checks, nil
}

func checksQuery(subscription uuid.UUID, filter CheckFilter, behind CheckCursor, limit int) (query string, args []any) {
	before := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if behind != (CheckCursor{}) {
		before = behind.Month.Start()
	}
	where, args := filter.where([]any{subscription, before, behind.Ordinal, limit})
	return `
		select check_id, month, ordinal, completed_at, billing, key_slot, fake_likelihood, fake_face, valid_face, brightness, latency_ms
		from usage.checks
		where subscription_id = $1 and (month, ordinal) < ($2::date, $3::bigint)` + where + `
		order by month desc, ordinal desc
		limit $4`, args
}

func scanCheck(row pgx.CollectableRow) (CountedCheck, error) {
	var c CountedCheck
	var month time.Time
	err := row.Scan(&c.CheckID, &month, &c.Ordinal, &c.CompletedAt, &c.Billing, &c.KeySlot,
		&c.FakeLikelihood, &c.FakeFace, &c.ValidFace, &c.Brightness, &c.LatencyMS)
	c.Month = domain.MonthOf(month)
	return c, err
}

// RequestedCheck is a counted call with the id of its request, Nil where that is not known yet.
type RequestedCheck struct {
	CountedCheck
	RequestID uuid.UUID
}

// MonthChecks lists at most limit calls of a month in their order, behind a number on.
func (u *Usage) MonthChecks(ctx context.Context, subscription uuid.UUID, month domain.Month, behind int64, limit int) ([]RequestedCheck, error) {
	rows, _ := u.pool.Query(ctx, `
		select check_id, completed_at, ordinal, billing, key_slot, fake_likelihood, fake_face, valid_face, brightness, latency_ms,
			coalesce(request_id, '00000000-0000-0000-0000-000000000000')
		from usage.checks left join traffic.requests using (subscription_id, month, ordinal)
		where subscription_id = $1 and month = $2 and ordinal > $3 order by ordinal limit $4`, subscription, month.Start(), behind, limit)
	checks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (RequestedCheck, error) {
		c := RequestedCheck{CountedCheck: CountedCheck{Month: month}}
		return c, row.Scan(&c.CheckID, &c.CompletedAt, &c.Ordinal, &c.Billing, &c.KeySlot, &c.FakeLikelihood, &c.FakeFace, &c.ValidFace,
			&c.Brightness, &c.LatencyMS, &c.RequestID)
	})
	if err != nil {
		return nil, fmt.Errorf("read the checks of %s: %w", month, err)
	}
	return checks, nil
}

// OverageByPlan returns how many calls of a month were counted beyond each plan, the plan that was first exceeded first.
func (u *Usage) OverageByPlan(ctx context.Context, subscription uuid.UUID, month domain.Month) ([]domain.PlanOverage, error) {
	rows, _ := u.pool.Query(ctx, `
		select plan, sum(overage)::bigint from usage.hours
		where subscription_id = $1 and hour >= $2 and hour < $3 and overage > 0
		group by plan order by min(hour), plan`, subscription, month.Start(), month.End())
	plans, err := pgx.CollectRows(rows, pgx.RowToStructByPos[domain.PlanOverage])
	if err != nil {
		return nil, fmt.Errorf("add up what is beyond the plans of %s: %w", month, err)
	}
	return plans, nil
}
