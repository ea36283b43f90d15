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

// TrafficProjection keeps how counted calls came in, for whoever looks back: by hour, key and latency, and which request each
// was. Nothing is decided by it. It stands apart from the read model of usage, which bills: a change of what is shown here
// rebuilds nothing there.
func TrafficProjection() engine.Projection {
	return engine.Projection{
		Name:    "traffic",
		Version: 1,
		Tables: `
			create table requests (
				subscription_id uuid not null,
				month           date not null, -- its first day
				ordinal         bigint not null,
				request_id      uuid not null,
				primary key (subscription_id, month, ordinal)
			);
			-- The ids are random: a summary for each range of pages finds one, and costs the writer next to nothing.
			create index requests_id on requests using brin (request_id uuid_bloom_ops) with (pages_per_range = 16, autosummarize = on);

			create table calls (
				subscription_id uuid not null,
				key_slot        text not null,
				hour            timestamptz not null,
				latency         smallint not null, -- class of latencies
				calls           bigint not null,
				overage         bigint not null,   -- of them, beyond the plan
				fake            bigint not null,   -- of them, judged to be fake
				last_at         timestamptz not null,
				primary key (subscription_id, key_slot, hour, latency)
			);`,
		Events: types(domain.CheckCompleted{}),
		Apply:  applyTraffic,
	}
}

// applyTraffic adds calls. They are numbered, so the newest one of a month that is there tells which of a batch are new.
func applyTraffic(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
	newest, err := newestRequests(ctx, tx, batch)
	if err != nil {
		return err
	}
	sums := map[trafficKey]*trafficCount{}
	var requests [][]any
	for _, recorded := range batch {
		e, ok := recorded.Event.(domain.CheckCompleted)
		month := usageMonth{e.SubscriptionID, e.Month}
		if !ok || e.Ordinal <= newest[month] {
			continue
		}
		newest[month] = e.Ordinal
		requests = append(requests, []any{[16]byte(e.SubscriptionID), e.Month.Start(), e.Ordinal, [16]byte(recorded.Meta.CorrelationID)})
		key := trafficKey{e.SubscriptionID, e.KeySlot, e.CompletedAt.UTC().Truncate(time.Hour), latencyClass(e.Judgement.LatencyMS)}
		countOf(sums, key).add(e)
	}
	if len(requests) == 0 {
		return nil
	}
	columns := []string{"subscription_id", "month", "ordinal", "request_id"}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"requests"}, columns, pgx.CopyFromRows(requests)); err != nil {
		return fmt.Errorf("add %d requests: %w", len(requests), err)
	}
	var all statements
	for key, n := range sums {
		all.add(`
			insert into calls as c (subscription_id, key_slot, hour, latency, calls, overage, fake, last_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
			on conflict (subscription_id, key_slot, hour, latency) do update set
				calls = c.calls + excluded.calls, overage = c.overage + excluded.overage, fake = c.fake + excluded.fake,
				last_at = greatest(c.last_at, excluded.last_at)`,
			key.subscription, key.slot, key.hour, key.latency, n.included+n.overage, n.overage, n.fake, n.lastAt)
	}
	if err := tx.SendBatch(ctx, &all.Batch).Close(); err != nil {
		return fmt.Errorf("add to the calls by hour: %w", err)
	}
	return nil
}

// newestRequests returns the number of the newest request that is there of every month that a batch has calls of.
func newestRequests(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) (map[usageMonth]int64, error) {
	newest, subscriptions, months := monthsOf(batch)
	rows, _ := tx.Query(ctx, `
		select subscription_id, month, coalesce((
			select ordinal from requests as r where r.subscription_id = wanted.subscription_id and r.month = wanted.month
			order by ordinal desc limit 1), 0)
		from unnest($1::uuid[], $2::date[]) as wanted (subscription_id, month)`, subscriptions, months)
	return newest, scanNewest(rows, newest)
}

type trafficKey struct {
	subscription uuid.UUID
	slot         domain.KeySlot
	hour         time.Time
	latency      int16
}

type trafficCount struct {
	usageCount
	lastAt time.Time
}

func (c *trafficCount) add(e domain.CheckCompleted) {
	c.usageCount.add(e)
	if e.CompletedAt.After(c.lastAt) {
		c.lastAt = e.CompletedAt
	}
}

// latencyStep is the ratio of one class of latencies to the one before: what is told of a class is at most 5 % off.
const latencyStep = 1.1

// latencyClass returns the class of a latency in milliseconds.
func latencyClass(ms int64) int16 {
	return int16(math.Floor(math.Log(float64(max(ms, 1))) / math.Log(latencyStep)))
}

// latencyOf returns the middle of a class, in milliseconds.
func latencyOf(class int16) int64 {
	return int64(math.Round(math.Pow(latencyStep, float64(class)+0.5)))
}
