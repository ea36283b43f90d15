package projections

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// UsageProjection keeps every counted call and the sums over months, days and hours. It stops rather than skip: its sums
// are what customers are billed by.
func UsageProjection() engine.Projection {
	return engine.Projection{
		Name:    "usage",
		Version: 1,
		Tables: `
			create table checks (
				subscription_id uuid not null,
				check_id        uuid not null,
				ordinal         bigint not null,
				completed_at    timestamptz not null,
				fake_likelihood double precision not null,
				brightness      double precision not null,
				month           date not null, -- its first day
				latency_ms      integer not null,
				fake_face       boolean not null,
				valid_face      boolean not null,
				keyed           boolean not null, -- the request had an Idempotency-Key
				billing         text not null,
				key_slot        text not null,
				primary key (subscription_id, month, ordinal)
			);
			-- Only ids that clients chose are ever looked up; indexing the random ones would cost most of the speed.
			create index checks_keyed on checks (subscription_id, month, check_id, ordinal) where keyed;

			create table months (
				subscription_id uuid not null,
				month           date not null,
				customer_id     uuid not null,
				included        bigint not null,
				overage         bigint not null,
				ordinal         bigint not null, -- of the newest call: how far the month is indexed
				plan            text not null,   -- plan, limit and policy are those at the newest call
				call_limit      bigint not null,
				policy          text not null,
				last_at         timestamptz not null,
				primary key (subscription_id, month)
			);

			create table days (
				subscription_id uuid not null,
				day             date not null,
				included        bigint not null,
				overage         bigint not null,
				fake            bigint not null,
				primary key (subscription_id, day)
			);

			-- By the store's clock, as calls are metered; a price belongs to a plan.
			create table hours (
				subscription_id uuid not null,
				hour            timestamptz not null,
				plan            text not null,
				included        bigint not null,
				overage         bigint not null,
				primary key (subscription_id, hour, plan)
			);`,
		// What is looked for among calls of which few are so. A walk along the primary key would pass all the others.
		Indexes: map[string]string{
			"checks_fake":      "on checks (subscription_id, month, ordinal) where fake_face",
			"checks_invalid":   "on checks (subscription_id, month, ordinal) where not valid_face",
			"checks_secondary": "on checks (subscription_id, month, ordinal) where key_slot = 'secondary'",
			"checks_overage":   "on checks (subscription_id, month, ordinal) where billing = 'overage'",
		},
		Events:        types(domain.CheckCompleted{}),
		Apply:         applyUsage,
		StopsOnPoison: true,
	}
}

// applyUsage adds calls. A month's calls are numbered, so the number of the newest one shown tells which of a batch are
// new, with one look-up per month instead of one per call: those are copied in and added to the sums. A number left out
// means that the log does not hold what it must; nothing is counted past it, unless an operator has said so.
func applyUsage(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
	shown, err := newestOrdinals(ctx, tx, batch)
	if err != nil {
		return err
	}
	sums := newUsageSums()
	calls := make([]domain.CheckCompleted, 0, len(batch))
	for _, recorded := range batch {
		e, ok := recorded.Event.(domain.CheckCompleted)
		if !ok {
			continue
		}
		month := usageMonth{e.SubscriptionID, e.Month}
		switch newest := shown[month]; {
		case e.Ordinal <= newest:
			continue
		case e.Ordinal > newest+1 && !engine.BehindSkipped(ctx, recorded):
			return fmt.Errorf("%w: call %d of %s in %s follows call %d", engine.ErrPoisonous, e.Ordinal, e.SubscriptionID, e.Month, newest)
		}
		shown[month] = e.Ordinal
		calls = append(calls, e)
		sums.add(month, e, recorded.RecordedAt)
	}
	if len(calls) == 0 {
		return nil
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"checks"}, checkColumns, pgx.CopyFromSlice(len(calls), func(i int) ([]any, error) {
		e := &calls[i]
		return []any{
			// As plain bytes: pgx would turn a uuid.UUID into text and back, at a quarter of the cost of the copy.
			[16]byte(e.SubscriptionID), [16]byte(e.CheckID), e.Ordinal, e.CompletedAt, e.Judgement.FakeLikelihood, e.Judgement.Brightness, e.Month.Start(),
			min(e.Judgement.LatencyMS, math.MaxInt32), e.Judgement.FakeFace, e.Judgement.ValidFace, e.RequestDigest != "",
			string(e.Billing), string(e.KeySlot),
		}, nil
	})); err != nil {
		return fmt.Errorf("add %d calls: %w", len(calls), err)
	}
	return sums.store(ctx, tx)
}

var checkColumns = []string{
	"subscription_id", "check_id", "ordinal", "completed_at", "fake_likelihood", "brightness", "month",
	"latency_ms", "fake_face", "valid_face", "keyed", "billing", "key_slot",
}

// newestOrdinals returns the number of the newest call shown of every month that a batch has calls of.
func newestOrdinals(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) (map[usageMonth]int64, error) {
	newest, subscriptions, months := monthsOf(batch)
	rows, _ := tx.Query(ctx, `
		select subscription_id, month, ordinal from months
		join unnest($1::uuid[], $2::date[]) as wanted (subscription_id, month) using (subscription_id, month)`, subscriptions, months)
	return newest, scanNewest(rows, newest)
}

// monthsOf returns the months that a batch has calls of, each with 0, and as two lists for a query.
func monthsOf(batch []domain.Recorded) (newest map[usageMonth]int64, subscriptions []uuid.UUID, months []time.Time) {
	newest = map[usageMonth]int64{}
	for _, recorded := range batch {
		if e, ok := recorded.Event.(domain.CheckCompleted); ok {
			month := usageMonth{e.SubscriptionID, e.Month}
			if _, listed := newest[month]; !listed {
				newest[month] = 0
				subscriptions, months = append(subscriptions, e.SubscriptionID), append(months, e.Month.Start())
			}
		}
	}
	return newest, subscriptions, months
}

// scanNewest reads rows of a subscription, a month and the number of its newest call.
func scanNewest(rows pgx.Rows, newest map[usageMonth]int64) error {
	var subscription uuid.UUID
	var month time.Time
	var ordinal int64
	if _, err := pgx.ForEachRow(rows, []any{&subscription, &month, &ordinal}, func() error {
		newest[usageMonth{subscription, domain.MonthOf(month)}] = ordinal
		return nil
	}); err != nil {
		return fmt.Errorf("read the newest calls: %w", err)
	}
	return nil
}

type usageMonth struct {
	subscription uuid.UUID
	month        domain.Month
}

type usageDay struct {
	subscription uuid.UUID
	day          time.Time
}

type usageHour struct {
	subscription uuid.UUID
	hour         time.Time
	plan         domain.PlanID
}

type usageCount struct{ included, overage, fake int64 }

func (c *usageCount) add(e domain.CheckCompleted) {
	if e.Billing == domain.BillingOverage {
		c.overage++
	} else {
		c.included++
	}
	if e.Judgement.FakeFace {
		c.fake++
	}
}

// usageSums is what a batch adds to the sums. Months are not added up: the newest call carries their totals.
type usageSums struct {
	months map[usageMonth]domain.CheckCompleted
	days   map[usageDay]*usageCount
	hours  map[usageHour]*usageCount
}

func newUsageSums() usageSums {
	return usageSums{months: map[usageMonth]domain.CheckCompleted{}, days: map[usageDay]*usageCount{}, hours: map[usageHour]*usageCount{}}
}

func (s usageSums) add(month usageMonth, e domain.CheckCompleted, recordedAt time.Time) {
	s.months[month] = e
	countOf(s.days, usageDay{e.SubscriptionID, dayWithin(e.Month, e.CompletedAt)}).add(e)
	countOf(s.hours, usageHour{e.SubscriptionID, domain.UsageHour(recordedAt), e.Plan}).add(e)
}

func countOf[K comparable, C any](counts map[K]*C, key K) *C {
	count := counts[key]
	if count == nil {
		count = new(C)
		counts[key] = count
	}
	return count
}

// dayWithin returns the UTC day of a call, kept inside the month that it is counted in: a call judged in the last instant of
// a month may be counted in the next, and the days of a month must add up to it.
func dayWithin(month domain.Month, at time.Time) time.Time {
	day := at.UTC().Truncate(24 * time.Hour)
	if day.Before(month.Start()) {
		return month.Start()
	}
	if last := month.End().AddDate(0, 0, -1); day.After(last) {
		return last
	}
	return day
}

// store adds the sums to the tables in one round trip.
func (s usageSums) store(ctx context.Context, tx pgx.Tx) error {
	var all statements
	for key, e := range s.months {
		all.add(`
			insert into months (subscription_id, month, customer_id, included, overage, ordinal, plan, call_limit, policy, last_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			on conflict (subscription_id, month) do update set
				included = excluded.included, overage = excluded.overage, ordinal = excluded.ordinal, plan = excluded.plan,
				call_limit = excluded.call_limit, policy = excluded.policy, last_at = excluded.last_at`,
			key.subscription, key.month.Start(), e.CustomerID, e.IncludedTotal, e.OverageTotal, e.Ordinal, e.Plan, e.Limit, e.Overage, e.CompletedAt)
	}
	for key, n := range s.days {
		all.add(`
			insert into days as d (subscription_id, day, included, overage, fake) values ($1, $2, $3, $4, $5)
			on conflict (subscription_id, day) do update set
				included = d.included + excluded.included, overage = d.overage + excluded.overage, fake = d.fake + excluded.fake`,
			key.subscription, key.day, n.included, n.overage, n.fake)
	}
	for key, n := range s.hours {
		all.add(`
			insert into hours as h (subscription_id, hour, plan, included, overage) values ($1, $2, $3, $4, $5)
			on conflict (subscription_id, hour, plan) do update set
				included = h.included + excluded.included, overage = h.overage + excluded.overage`,
			key.subscription, key.hour, key.plan, n.included, n.overage)
	}
	if err := tx.SendBatch(ctx, &all.Batch).Close(); err != nil {
		return fmt.Errorf("add to the sums: %w", err)
	}
	return nil
}
