package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/domain"
)

// Traffic answers how counted calls came in.
type Traffic struct {
	pool *pgxpool.Pool
}

// NewTraffic queries through pool.
func NewTraffic(pool *pgxpool.Pool) *Traffic { return &Traffic{pool: pool} }

// TrafficHour is what came in within one UTC hour.
type TrafficHour struct {
	Hour    time.Time
	ByKey   map[domain.KeySlot]int64
	Overage int64   // of all, beyond the plan
	Fake    int64   // of all, judged to be fake
	Latency Latency // zero without calls
}

// Latency is how long calls took in the service, in milliseconds: half of them at most P50, nineteen of twenty at most P95.
type Latency struct {
	P50, P95 int64
}

// Hours lists the hours with calls from one moment up to, not including, another, and the latency of all of them.
func (t *Traffic) Hours(ctx context.Context, subscription uuid.UUID, from, to time.Time) ([]TrafficHour, Latency, error) {
	rows, _ := t.pool.Query(ctx, `
		select hour, key_slot, latency, calls, overage, fake from traffic.calls
		where subscription_id = $1 and key_slot in ('primary', 'secondary') and hour >= $2 and hour < $3
		order by hour`, subscription, from, to)
	var hours []TrafficHour
	var at time.Time
	var slot domain.KeySlot
	var class int16
	var calls, overage, fake int64
	all, ofHour := map[int16]int64{}, map[int16]int64{}
	_, err := pgx.ForEachRow(rows, []any{&at, &slot, &class, &calls, &overage, &fake}, func() error {
		if len(hours) == 0 || !hours[len(hours)-1].Hour.Equal(at) {
			hours = append(hours, TrafficHour{Hour: at.UTC(), ByKey: map[domain.KeySlot]int64{}})
			clear(ofHour)
		}
		hour := &hours[len(hours)-1]
		hour.ByKey[slot] += calls
		hour.Overage += overage
		hour.Fake += fake
		all[class] += calls
		ofHour[class] += calls
		hour.Latency = latencyOfAll(ofHour)
		return nil
	})
	if err != nil {
		return nil, Latency{}, fmt.Errorf("list calls by hour: %w", err)
	}
	return hours, latencyOfAll(all), nil
}

// latencyOfAll returns the percentiles of calls by class.
func latencyOfAll(calls map[int16]int64) Latency {
	var total int64
	for _, n := range calls {
		total += n
	}
	var l Latency
	var below int64
	for _, class := range slices.Sorted(maps.Keys(calls)) {
		before := below
		below += calls[class]
		if before*2 < total && below*2 >= total {
			l.P50 = latencyOf(class)
		}
		if before*20 < total*19 && below*20 >= total*19 {
			l.P95 = latencyOf(class)
		}
	}
	return l
}

// KeyUse is when a customer's keys were last used for a counted call.
type KeyUse struct {
	LastAt map[domain.KeySlot]time.Time // of the slots that ever were
	Known  bool                         // the whole log is looked through: a slot that is missing never was
}

// KeyUse returns when the keys of a subscription were last used. A slot may have had another key then.
func (t *Traffic) KeyUse(ctx context.Context, subscription uuid.UUID) (KeyUse, error) {
	use := KeyUse{LastAt: map[domain.KeySlot]time.Time{}}
	rows, _ := t.pool.Query(ctx, `
		select slot, (
			select max(last_at) from traffic.calls as c where subscription_id = $1 and key_slot = slot and hour = (
				select max(hour) from traffic.calls where subscription_id = $1 and key_slot = slot)),
			coalesce((select caught_up from projection_checkpoints where name = $2), false)
		from unnest(array['primary', 'secondary']) as slot`, subscription, TrafficProjection().Name)
	var slot domain.KeySlot
	var at *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&slot, &at, &use.Known}, func() error {
		if at != nil {
			use.LastAt[slot] = at.UTC()
		}
		return nil
	}); err != nil {
		return KeyUse{}, fmt.Errorf("read when keys were used: %w", err)
	}
	return use, nil
}
