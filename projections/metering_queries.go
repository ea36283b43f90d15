package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

// Metering answers questions about usage records.
type Metering struct {
	pool *pgxpool.Pool
}

var _ metering.ReadModel = (*Metering)(nil)

// NewMetering queries through pool.
func NewMetering(pool *pgxpool.Pool) *Metering { return &Metering{pool: pool} }

// Ended implements metering.ReadModel.
func (m *Metering) Ended(ctx context.Context) ([]metering.EndedSubscription, error) {
	rows, _ := m.pool.Query(ctx, `
		select subscription_id, end_recorded_at from metering.licences
		where ended_at is not null and usage_sealed_at is null order by end_recorded_at`)
	return collected(rows, "ended subscriptions", pgx.RowToStructByPos[metering.EndedSubscription])
}

// Sealed implements metering.ReadModel. An hour counts as sealed where it is in these tables: they are then complete
// up to its seal.
func (m *Metering) Sealed(ctx context.Context, after domain.SealedUsage, limit int) ([]domain.SealedUsage, error) {
	rows, _ := m.pool.Query(ctx, `
		select w.subscription_id, w.hour, w.plan, w.counted, w.credited,
			array(select c.from_hour from metering.carries c where (c.subscription_id, c.hour, c.plan) = (w.subscription_id, w.hour, w.plan) order by c.from_hour),
			array(select c.quantity from metering.carries c where (c.subscription_id, c.hour, c.plan) = (w.subscription_id, w.hour, w.plan) order by c.from_hour)
		from metering.windows w
		where w.state = 'counting' and (
			w.hour <= (select max(hour) from metering.seal)
			or w.subscription_id in (select subscription_id from metering.licences where usage_sealed_at is not null))
			and w.hour >= $1 and (w.hour, w.subscription_id, w.plan) > ($1, $2, $3)
		order by w.hour, w.subscription_id, w.plan limit $4`, after.Hour, after.SubscriptionID, after.Plan, limit)
	return collected(rows, "sealed hours", func(row pgx.CollectableRow) (domain.SealedUsage, error) {
		var s domain.SealedUsage
		var hours []time.Time
		var quantities []int64
		err := row.Scan(&s.SubscriptionID, &s.Hour, &s.Plan, &s.Counted, &s.Credited, &hours, &quantities)
		s.Hour = s.Hour.UTC()
		for i := range hours {
			s.Carried = append(s.Carried, domain.CarriedUsage{Hour: hours[i].UTC(), Quantity: quantities[i]})
		}
		return s, err
	})
}

// Idle implements metering.ReadModel.
func (m *Metering) Idle(ctx context.Context, hour time.Time) ([]domain.SealedUsage, error) {
	rows, _ := m.pool.Query(ctx, `
		select l.subscription_id, l.plan from metering.licences l
		where l.started_at < $1::timestamptz + interval '1 hour' and l.usage_sealed_at is null and $1 <= (select max(hour) from metering.seal)
			and not exists (select from metering.windows w where w.subscription_id = l.subscription_id and w.hour = $1)`, hour)
	return collected(rows, "hours without overage", func(row pgx.CollectableRow) (domain.SealedUsage, error) {
		s := domain.SealedUsage{Hour: hour}
		err := row.Scan(&s.SubscriptionID, &s.Plan)
		return s, err
	})
}

const selectKeys = "select record_id, subscription_id, hour, dimension, plan from metering.windows w where state = 'open' "

func scanKey(row pgx.CollectableRow) (domain.UsageRecordKey, error) {
	var k domain.UsageRecordKey
	err := row.Scan(&k.RecordID, &k.SubscriptionID, &k.Hour, &k.Dimension, &k.Plan)
	k.Hour = k.Hour.UTC()
	return k, err
}

// Due implements metering.ReadModel.
func (m *Metering) Due(ctx context.Context, region string, now time.Time, probe bool, limit int) ([]domain.UsageRecordKey, error) {
	rows, _ := m.pool.Query(ctx, selectKeys+`
		and region = $1 and (retry_at <= $2 or $3 and unanswered > 0)
		order by ($3 and unanswered > 0) desc,
			exists (select from metering.licences l where l.subscription_id = w.subscription_id and l.ended_at is not null) desc,
			deadline, hour, subscription_id
		limit $4`, region, now, probe, limit)
	return collected(rows, "due usage records", scanKey)
}

// Late implements metering.ReadModel.
func (m *Metering) Late(ctx context.Context, deadline time.Time, limit int) ([]domain.UsageRecordKey, error) {
	rows, _ := m.pool.Query(ctx, selectKeys+"and deadline <= $1 order by deadline limit $2", deadline, limit)
	return collected(rows, "late usage records", scanKey)
}

// NextDue implements metering.ReadModel.
func (m *Metering) NextDue(ctx context.Context, region string) (time.Time, error) {
	var next *time.Time
	err := m.pool.QueryRow(ctx, "select min(retry_at) from metering.windows where state = 'open' and region = $1", region).Scan(&next)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the next due usage record: %w", err)
	}
	return orZero(next), nil
}

// MeteredWindow is what one metered hour of a subscription and plan holds and what became of it.
type MeteredWindow struct {
	SubscriptionID   uuid.UUID                `json:"subscriptionId"`
	Hour             time.Time                `json:"hour"`
	Plan             domain.PlanID            `json:"plan"`
	Dimension        string                   `json:"dimension,omitempty"`
	Counted          int64                    `json:"counted"`  // calls beyond the plan
	Carried          int64                    `json:"carried"`  // from earlier hours
	Credited         int64                    `json:"credited"` // of both, what credits take off
	Quantity         int64                    `json:"quantity"`
	State            domain.UsageRecordStatus `json:"state"` // "counting" while there is no record
	Attempts         int                      `json:"attempts"`
	Unanswered       int                      `json:"unanswered"`
	Deadline         time.Time                `json:"deadline,omitzero"`
	Outcome          domain.MeteringOutcome   `json:"outcome,omitempty"`
	MeteringRecordID string                   `json:"meteringRecordId,omitempty"`
	Reason           string                   `json:"reason,omitempty"`
	ChangedAt        time.Time                `json:"changedAt,omitzero"`
}

// Windows lists metered hours from one moment on, newest first, at most limit; of all subscriptions for uuid.Nil. Those
// that wait for a person, or for AWS, are listed however old they are.
func (m *Metering) Windows(ctx context.Context, subscription uuid.UUID, from time.Time, limit int) ([]MeteredWindow, error) {
	rows, _ := m.pool.Query(ctx, `
		select subscription_id, hour, plan, coalesce(dimension, ''), counted, carried, credited, quantity, state, attempts, unanswered, deadline,
			outcome, metering_record_id, reason, changed_at
		from metering.windows
		where ($1 = '00000000-0000-0000-0000-000000000000'::uuid or subscription_id = $1)
			and (hour >= $2 or state in ('open', 'quarantined', 'counting'))
		order by hour desc, subscription_id, plan limit $3`, subscription, from, limit)
	return collected(rows, "metered hours", func(row pgx.CollectableRow) (MeteredWindow, error) {
		var w MeteredWindow
		var deadline, changed *time.Time
		err := row.Scan(&w.SubscriptionID, &w.Hour, &w.Plan, &w.Dimension, &w.Counted, &w.Carried, &w.Credited, &w.Quantity, &w.State, &w.Attempts,
			&w.Unanswered, &deadline, &w.Outcome, &w.MeteringRecordID, &w.Reason, &changed)
		w.Hour, w.Deadline, w.ChangedAt = w.Hour.UTC(), orZero(deadline).UTC(), orZero(changed).UTC()
		return w, err
	})
}

// ReportedOverage is what became of the calls beyond the plan, in calls. Counted = Accepted + Pending + CarriedOpen +
// WrittenOff + Credited for a subscription's whole life; within a month a quantity may have come from, or gone to, another.
type ReportedOverage struct {
	Counted     int64 `json:"counted"`
	Accepted    int64 `json:"accepted"`    // billed by AWS
	Pending     int64 `json:"pending"`     // counted, or prepared and not closed
	CarriedOpen int64 `json:"carriedOpen"` // carried into an hour that has no record yet
	WrittenOff  int64 `json:"writtenOff"`
	Credited    int64 `json:"credited"`    // what records were lowered by
	Quarantined int64 `json:"quarantined"` // the part of Pending that waits for an operator
}

// Difference is what is neither reported nor accounted for; anything but 0 is a fault.
func (r ReportedOverage) Difference() int64 {
	return r.Counted - r.Accepted - r.Pending - r.CarriedOpen - r.WrittenOff - r.Credited
}

// Add adds other figures to these.
func (r *ReportedOverage) Add(other ReportedOverage) {
	r.Counted, r.Accepted, r.Pending = r.Counted+other.Counted, r.Accepted+other.Accepted, r.Pending+other.Pending
	r.CarriedOpen, r.WrittenOff, r.Quarantined = r.CarriedOpen+other.CarriedOpen, r.WrittenOff+other.WrittenOff, r.Quarantined+other.Quarantined
	r.Credited += other.Credited
}

const sumWindows = `
	coalesce(sum(counted), 0),
	coalesce(sum(quantity) filter (where state = 'accepted'), 0),
	coalesce(sum(case when state in ('open', 'quarantined') then quantity when state = 'counting' then greatest(counted - credited, 0) end), 0),
	coalesce(sum(carried - greatest(credited - counted, 0)) filter (where state = 'counting'), 0),
	coalesce(sum(quantity) filter (where state = 'rejected'), 0),
	coalesce(sum(credited), 0),
	coalesce(sum(quantity) filter (where state = 'quarantined'), 0)`

func (r *ReportedOverage) fields() []any {
	return []any{&r.Counted, &r.Accepted, &r.Pending, &r.CarriedOpen, &r.WrittenOff, &r.Credited, &r.Quarantined}
}

// Reported returns what became of the calls beyond the plan that were counted in the hours of a month.
func (m *Metering) Reported(ctx context.Context, subscription uuid.UUID, month domain.Month) (ReportedOverage, error) {
	var r ReportedOverage
	err := m.pool.QueryRow(ctx, "select "+sumWindows+" from metering.windows where subscription_id = $1 and hour >= $2 and hour < $3",
		subscription, month.Start(), month.End()).Scan(r.fields()...)
	if err != nil {
		return r, fmt.Errorf("read reported overage of %s: %w", month, err)
	}
	return r, nil
}

// LicenceOverage is what became of all calls beyond the plan of one subscription.
type LicenceOverage struct {
	SubscriptionID uuid.UUID
	LicenseARN     string
	ReportedOverage
}

// Overages tells for every subscription what became of its calls beyond the plan, since its start.
func (m *Metering) Overages(ctx context.Context) ([]LicenceOverage, error) {
	rows, _ := m.pool.Query(ctx, `
		select subscription_id, coalesce(license_arn, ''), coalesce(counted, 0) + coalesce(late_calls, 0), coalesce(accepted, 0), coalesce(pending, 0),
			coalesce(carried_open, 0), coalesce(rejected, 0) + coalesce(late_calls, 0) + coalesce(late_carried, 0), coalesce(credited, 0), coalesce(quarantined, 0)
		from (select subscription_id, license_arn from metering.licences) as l
		full join (
			select subscription_id, `+sumWindows+` from metering.windows group by subscription_id
		) as w (subscription_id, counted, accepted, pending, carried_open, rejected, credited, quarantined) using (subscription_id)
		full join (
			select subscription_id, sum(calls), sum(carried) from metering.late group by subscription_id
		) as t (subscription_id, late_calls, late_carried) using (subscription_id)
		order by subscription_id`)
	return collected(rows, "reported overage", func(row pgx.CollectableRow) (LicenceOverage, error) {
		var s LicenceOverage
		err := row.Scan(append([]any{&s.SubscriptionID, &s.LicenseARN}, s.fields()...)...)
		return s, err
	})
}

// MonthCredit is what an operator credited of one month.
type MonthCredit struct {
	SubscriptionID uuid.UUID    `json:"subscriptionId"`
	Month          domain.Month `json:"month"`
	Calls          int64        `json:"calls"`
	Unreported     int64        `json:"unreported"` // of these, what takes calls off records, now or as soon as their hour is sealed
	Refund         int64        `json:"refund"`     // of these, what AWS was told of before, as things stand: to be refunded there
}

// Credits lists what was credited, by subscription and month; of all subscriptions for uuid.Nil.
func (m *Metering) Credits(ctx context.Context, subscription uuid.UUID) ([]MonthCredit, error) {
	rows, _ := m.pool.Query(ctx, `
		select c.subscription_id, c.month, c.calls, c.used + least(c.calls - c.used, u.unreported),
			least(c.calls - c.used - least(c.calls - c.used, u.unreported), u.reported)
		from metering.credits c, lateral (
			select coalesce(sum(w.counted + w.carried) filter (where open), 0) as unreported,
				coalesce(sum(w.counted + w.carried - w.credited) filter (where not open and w.state <> 'rejected'), 0) as reported
			from metering.windows w, lateral (
				select w.hour > coalesce((select max(hour) from metering.seal), '-infinity') and not exists (
					select from metering.licences l where l.subscription_id = w.subscription_id
						and (l.usage_sealed_at is not null or w.hour <= l.closed_hour)) as open
			) o
			where w.subscription_id = c.subscription_id and date_trunc('month', w.hour at time zone 'UTC')::date = c.month
		) u
		where $1 = '00000000-0000-0000-0000-000000000000'::uuid or c.subscription_id = $1
		order by c.month, c.subscription_id`, subscription)
	return collected(rows, "credits", func(row pgx.CollectableRow) (MonthCredit, error) {
		var c MonthCredit
		var month time.Time
		err := row.Scan(&c.SubscriptionID, &month, &c.Calls, &c.Unreported, &c.Refund)
		c.Month = domain.MonthOf(month)
		return c, err
	})
}

// MeteringHealth is what an operator watches.
type MeteringHealth struct {
	SealedHour  time.Time // the newest sealed hour; zero when none is
	OldestOpen  time.Time // the oldest hour that is sealed, or should be, and not closed; zero when there is none
	Open        int64     // records to be sent, and hours to be prepared that are sealed, or over for an hour
	Quarantined int64     // records that wait for an operator
	Rejected    int64     // records with usage that were written off
	LateCalls   int64     // calls counted after the usage of an ended subscription was sealed
}

// Health returns how metering stands.
func (m *Metering) Health(ctx context.Context) (MeteringHealth, error) {
	var h MeteringHealth
	var sealed, oldest *time.Time
	err := m.pool.QueryRow(ctx, `
		with newest as (select max(hour) as hour from metering.seal),
			waiting as (
				select hour from metering.windows where state = 'open'
				union all select w.hour from metering.windows w, newest
				where w.state = 'counting' and (w.hour <= newest.hour or w.hour < now() - interval '2 hours'))
		select (select hour from newest), (select min(hour) from waiting), (select count(*) from waiting),
			(select count(*) from metering.windows where state = 'quarantined'),
			(select count(*) from metering.windows where state = 'rejected' and quantity > 0),
			(select coalesce(sum(calls + carried), 0) from metering.late)`).
		Scan(&sealed, &oldest, &h.Open, &h.Quarantined, &h.Rejected, &h.LateCalls)
	if err != nil {
		return h, fmt.Errorf("read how metering stands: %w", err)
	}
	h.SealedHour, h.OldestOpen = orZero(sealed).UTC(), orZero(oldest).UTC()
	return h, nil
}

func collected[T any](rows pgx.Rows, what string, scan pgx.RowToFunc[T]) ([]T, error) {
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return list, nil
}
