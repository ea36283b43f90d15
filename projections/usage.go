package projections

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/domain"
)

// UsageProjection keeps every counted call and the sums over months, days and hours. It stops rather than skip: its sums
// are what customers are billed by.
func UsageProjection() Projection {
	return Projection{
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
			create index checks_keyed on checks (check_id) where keyed;

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
		Events:        types(domain.CheckCompleted{}),
		Apply:         applyUsage,
		StopsOnPoison: true,
	}
}

// checkRows are the columns of a batch of counted calls: sent as arrays, the whole batch is one statement.
type checkRows struct {
	subscription, customer, check     []uuid.UUID
	month, day                        []time.Time
	ordinal, included, overage, limit []int64
	completed, hour                   []time.Time
	likelihood, brightness            []float64
	latency                           []int32
	fake, valid, keyed                []bool
	billing, slot, plan, policy       []string
}

func (c *checkRows) add(r domain.Recorded, e domain.CheckCompleted) {
	c.subscription = append(c.subscription, e.SubscriptionID)
	c.customer = append(c.customer, e.CustomerID)
	c.check = append(c.check, e.CheckID)
	c.month = append(c.month, e.Month.Start())
	c.day = append(c.day, dayWithin(e.Month, e.CompletedAt))
	c.ordinal = append(c.ordinal, e.Ordinal)
	c.included = append(c.included, e.IncludedTotal)
	c.overage = append(c.overage, e.OverageTotal)
	c.limit = append(c.limit, e.Limit)
	c.completed = append(c.completed, e.CompletedAt)
	c.hour = append(c.hour, domain.UsageHour(r.RecordedAt))
	c.likelihood = append(c.likelihood, e.Judgement.FakeLikelihood)
	c.brightness = append(c.brightness, e.Judgement.Brightness)
	c.latency = append(c.latency, int32(min(e.Judgement.LatencyMS, 1<<31-1)))
	c.fake = append(c.fake, e.Judgement.FakeFace)
	c.valid = append(c.valid, e.Judgement.ValidFace)
	c.keyed = append(c.keyed, e.RequestDigest != "")
	c.billing = append(c.billing, string(e.Billing))
	c.slot = append(c.slot, string(e.KeySlot))
	c.plan = append(c.plan, string(e.Plan))
	c.policy = append(c.policy, string(e.Overage))
}

// dayWithin gives the UTC day of a call, kept inside the month that it is counted in: a call judged in the last instant of
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

// applyUsage adds calls. Days and hours count the rows that were really inserted, so that a repeated event adds nothing;
// months take the totals that the newest event itself carries.
func applyUsage(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
	var c checkRows
	for _, recorded := range batch {
		if e, ok := recorded.Event.(domain.CheckCompleted); ok {
			c.add(recorded, e)
		}
	}
	_, err := tx.Exec(ctx, `
		with calls as (
			select * from unnest(
				$1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::date[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
				$10::timestamptz[], $11::timestamptz[], $12::float8[], $13::float8[], $14::int[], $15::bool[], $16::bool[], $17::bool[],
				$18::text[], $19::text[], $20::text[], $21::text[]
			) as t (
				subscription_id, customer_id, check_id, month, day, ordinal, included, overage, call_limit,
				completed_at, hour, fake_likelihood, brightness, latency_ms, fake_face, valid_face, keyed,
				billing, key_slot, plan, policy
			)
		), added as (
			insert into checks (subscription_id, check_id, ordinal, completed_at, fake_likelihood, brightness, month, latency_ms,
				fake_face, valid_face, keyed, billing, key_slot)
			select subscription_id, check_id, ordinal, completed_at, fake_likelihood, brightness, month, latency_ms,
				fake_face, valid_face, keyed, billing, key_slot
			from calls
			on conflict (subscription_id, month, ordinal) do nothing
			returning subscription_id, month, ordinal
		), counted as (
			select calls.* from calls join added using (subscription_id, month, ordinal)
		), by_day as (
			insert into days as d (subscription_id, day, included, overage, fake)
			select subscription_id, day, count(*) filter (where billing = 'included'), count(*) filter (where billing = 'overage'),
				count(*) filter (where fake_face)
			from counted group by subscription_id, day
			on conflict (subscription_id, day) do update set
				included = d.included + excluded.included, overage = d.overage + excluded.overage, fake = d.fake + excluded.fake
		), by_hour as (
			insert into hours as h (subscription_id, hour, plan, included, overage)
			select subscription_id, hour, plan, count(*) filter (where billing = 'included'), count(*) filter (where billing = 'overage')
			from counted group by subscription_id, hour, plan
			on conflict (subscription_id, hour, plan) do update set
				included = h.included + excluded.included, overage = h.overage + excluded.overage
		)
		insert into months as m (subscription_id, month, customer_id, included, overage, ordinal, plan, call_limit, policy, last_at)
		select distinct on (subscription_id, month)
			subscription_id, month, customer_id, included, overage, ordinal, plan, call_limit, policy, completed_at
		from calls order by subscription_id, month, ordinal desc
		on conflict (subscription_id, month) do update set
			included = excluded.included, overage = excluded.overage, ordinal = excluded.ordinal, plan = excluded.plan,
			call_limit = excluded.call_limit, policy = excluded.policy, last_at = excluded.last_at
		where m.ordinal < excluded.ordinal`,
		c.subscription, c.customer, c.check, c.month, c.day, c.ordinal, c.included, c.overage, c.limit,
		c.completed, c.hour, c.likelihood, c.brightness, c.latency, c.fake, c.valid, c.keyed,
		c.billing, c.slot, c.plan, c.policy)
	return err
}
