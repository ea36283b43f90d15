package projections

import (
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// apply takes one event over.
func (b *meteringBatch) apply(r domain.Recorded) error {
	switch e := r.Event.(type) {
	case domain.CheckCompleted:
		if b.behind[r.Position] {
			b.goOn(e)
		}
		if e.Billing == domain.BillingOverage {
			return b.count(e, r.RecordedAt)
		}
	case domain.HourSealed:
		if e.Hour.After(b.sealed) {
			b.lower(uuid.Nil, b.sealed, e.Hour)
			b.sealed = e.Hour.UTC()
		}
		b.changes.add(`insert into seal as s (hour) values ($1) on conflict (one) do update set hour = greatest(s.hour, excluded.hour)`, e.Hour)
	case domain.SubscriptionUsageSealed:
		b.sealUsage(e, r)
	case domain.UsageCredited:
		b.changes.add(`insert into credits as c (subscription_id, month, calls) values ($1, $2, $3)
			on conflict (subscription_id, month) do update set calls = greatest(c.calls, excluded.calls)`, e.SubscriptionID, e.Month.Start(), e.Total)
	default:
		b.applyLicence(r)
		b.applyRecord(r)
	}
	return nil
}

// lower spends credits on hours of their months behind one hour and up to another, which are about to be closed: the earliest
// first, within it plan by plan, none by more than it holds. The hours are those of one subscription, or for uuid.Nil of all
// whose usage is not sealed; what the seal of their usage has closed before is left out.
func (b *meteringBatch) lower(subscription uuid.UUID, behind, until time.Time) {
	b.changes.add(`
		with closing as (
			select w.subscription_id, w.hour, w.plan, c.month, c.calls - c.used as credit, w.counted + w.carried as quantity,
				sum(w.counted + w.carried) over (partition by w.subscription_id, c.month order by w.hour, w.plan collate "C") as up_to
			from windows w
				join credits c on c.subscription_id = w.subscription_id and c.month = date_trunc('month', w.hour at time zone 'UTC')::date
				left join licences l on l.subscription_id = w.subscription_id
			where c.calls > c.used and w.hour > $2 and w.hour <= $3 and (w.subscription_id = $1
				or $1 = '00000000-0000-0000-0000-000000000000'::uuid and l.usage_sealed_at is null and w.hour > coalesce(l.closed_hour, '-infinity'))
		), lowered as (
			update windows w set credited = greatest(0, least(o.quantity, o.credit - (o.up_to - o.quantity)))
			from closing o where (w.subscription_id, w.hour, w.plan) = (o.subscription_id, o.hour, o.plan)
			returning w.subscription_id, o.month, w.credited
		)
		update credits c set used = c.used + l.credited
		from (select subscription_id, month, sum(credited) as credited from lowered group by subscription_id, month) l
		where (c.subscription_id, c.month) = (l.subscription_id, l.month)`, subscription, behind, until)
}

func (b *meteringBatch) applyLicence(r domain.Recorded) {
	const newer = " where subscription_id = $1 and revision < $2"
	switch e := r.Event.(type) {
	case domain.SubscriptionStarted:
		b.changes.add(`insert into licences (subscription_id, customer_id, license_arn, plan, started_at, revision) values ($1, $2, $3, $4, $5, $6)
			on conflict (subscription_id) do nothing`, e.SubscriptionID, e.CustomerID, e.Marketplace.LicenseARN, e.Plan, e.StartedAt, r.Revision)
	case domain.PlanChanged:
		b.changes.add("update licences set revision = $2, plan = $3"+newer, e.SubscriptionID, r.Revision, e.Plan)
	case domain.SubscriptionEnded:
		b.changes.add("update licences set revision = $2, ended_at = $3, end_recorded_at = $4, reinstated = false"+newer, e.SubscriptionID, r.Revision, e.EndedAt, r.RecordedAt)
		if l := b.licence(e.SubscriptionID); int64(r.Revision) > l.revision {
			l.reinstated, l.revision = false, int64(r.Revision)
		}
	case domain.SubscriptionReinstated:
		b.changes.add("update licences set revision = $2, ended_at = null, end_recorded_at = null, usage_sealed_at = null, reinstated = true"+newer,
			e.SubscriptionID, r.Revision)
		if l := b.licence(e.SubscriptionID); int64(r.Revision) > l.revision {
			l.reinstated, l.sealed, l.revision = true, false, int64(r.Revision)
		}
	}
}

// sealUsage closes the hours of a subscription, unless it has been reinstated before the seal or the row shows the seal.
func (b *meteringBatch) sealUsage(e domain.SubscriptionUsageSealed, r domain.Recorded) {
	l := b.licence(e.SubscriptionID)
	if l.reinstated || int64(r.Revision) <= l.sealedRev {
		return
	}
	before := b.closed(e.SubscriptionID)
	l.sealed, l.closed, l.sealedRev = true, e.ClosedBy(r.RecordedAt, before), int64(r.Revision)
	b.lower(e.SubscriptionID, before, l.closed)
	b.changes.add("update licences set usage_sealed_at = $2, closed_hour = $3, seal_revision = $4 where subscription_id = $1",
		e.SubscriptionID, e.SealedAt, l.closed, r.Revision)
}

// applyRecord follows a usage record. An event that the row shows already changes nothing: the row has the revision.
func (b *meteringBatch) applyRecord(r domain.Recorded) {
	update := func(k domain.UsageRecordKey, at time.Time, set string, args ...any) {
		b.changes.add("update windows set revision = $4, changed_at = $5, "+set+" where subscription_id = $1 and hour = $2 and plan = $3 and revision < $4",
			append([]any{k.SubscriptionID, k.Hour, k.Plan, r.Revision, at}, args...)...)
	}
	closed := func(k domain.UsageRecordKey, at time.Time, status domain.UsageRecordStatus, outcome domain.MeteringOutcome, reason string) {
		update(k, at, "state = $6, outcome = $7, reason = $8", status, outcome, reason)
	}
	switch e := r.Event.(type) {
	case domain.UsageRecordPrepared:
		b.changes.add(`
			insert into windows as w (subscription_id, hour, plan, state, record_id, dimension, region, quantity, deadline, prepared_at, retry_at, changed_at, revision)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $10, $11)
			on conflict (subscription_id, hour, plan) do update set
				state = excluded.state, record_id = excluded.record_id, dimension = excluded.dimension, region = excluded.region,
				quantity = excluded.quantity, deadline = excluded.deadline, prepared_at = excluded.prepared_at,
				retry_at = excluded.retry_at, changed_at = excluded.changed_at, revision = excluded.revision
			where w.revision < excluded.revision`,
			e.SubscriptionID, e.Hour, e.Plan, domain.RecordOpen, e.RecordID, e.Dimension, e.Region, e.Quantity, e.Deadline, e.PreparedAt, r.Revision)
	case domain.UsageRecordAttempted:
		update(e.UsageRecordKey, e.AttemptedAt, "attempts = $6, unanswered = unanswered + 1, retry_at = $7", e.Attempt, e.RetryAt)
	case domain.UsageRecordDeferred:
		update(e.UsageRecordKey, e.DeferredAt, "unanswered = unanswered - 1, retry_at = $6, outcome = $7, reason = $8", e.RetryAt, e.Outcome, e.Reason)
	case domain.UsageRecordAccepted:
		update(e.UsageRecordKey, e.AcceptedAt, "state = $6, outcome = $7, reason = $8, metering_record_id = $9",
			domain.RecordAccepted, e.Outcome, e.Reason, e.MeteringRecordID)
	case domain.UsageRecordRejected:
		closed(e.UsageRecordKey, e.RejectedAt, domain.RecordRejected, e.Outcome, e.Reason)
	case domain.UsageRecordQuarantined:
		closed(e.UsageRecordKey, e.QuarantinedAt, domain.RecordQuarantined, e.Outcome, e.Reason)
	case domain.UsageCarriedOver:
		b.carry(e, r)
	}
}

// carry closes a record and adds its quantity to the first hour that is not sealed here in the log, in one statement: it
// moves only if the record was not closed in the row before.
func (b *meteringBatch) carry(e domain.UsageCarriedOver, r domain.Recorded) {
	const moved = `
		with moved as (
			update windows set revision = $4, changed_at = $5, state = $6, outcome = $7, reason = $8
			where subscription_id = $1 and hour = $2 and plan = $3 and revision < $4
			returning 1
		)`
	args := []any{e.SubscriptionID, e.Hour, e.Plan, r.Revision, e.CarriedAt, domain.RecordCarried, e.Outcome, e.Reason, e.Quantity}
	if b.licence(e.SubscriptionID).sealed {
		b.changes.add(moved+`
			insert into late as l (subscription_id, plan, calls, carried) select $1, $3, 0, $9::bigint from moved
			on conflict (subscription_id, plan) do update set carried = l.carried + excluded.carried`, args...)
		return
	}
	b.changes.add(moved+`,
		kept as (
			insert into carries (subscription_id, from_hour, plan, hour, quantity) select $1, $2, $3, $10, $9::bigint from moved
			on conflict (subscription_id, from_hour, plan) do nothing
		)
		insert into windows as w (subscription_id, hour, plan, carried) select $1, $10, $3, $9::bigint from moved
		on conflict (subscription_id, hour, plan) do update set carried = w.carried + excluded.carried`,
		append(args, b.hour(e.SubscriptionID, r.RecordedAt))...)
}
