package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// MeteringProjection keeps what was counted beyond the plans, by metered hour, and what became of it. It stops rather than
// skip: it is what customers are billed by.
func MeteringProjection() engine.Projection {
	return engine.Projection{
		Name:    metering.ReadModelName,
		Version: 2,
		Tables: `
			-- The newest sealed hour. Every hour up to it is closed.
			create table seal (
				one  boolean primary key default true check (one),
				hour timestamptz not null
			);

			create table licences (
				subscription_id  uuid primary key,
				customer_id      uuid not null,
				license_arn      text not null,
				plan             text not null,
				started_at       timestamptz not null,
				ended_at         timestamptz,
				reinstated       boolean not null default false, -- since it has ended
				end_recorded_at  timestamptz,
				usage_sealed_at  timestamptz,
				closed_hour      timestamptz,                 -- the newest hour that the seal of its usage has closed
				seal_revision    bigint not null default -1,  -- of that seal
				revision         bigint not null              -- of the last event of the subscription's stream in the row
			);
			create index licences_ended on licences (end_recorded_at) where ended_at is not null and usage_sealed_at is null;

			-- How far each month's calls beyond the plan are counted.
			create table months (
				subscription_id uuid not null,
				month           date not null,
				overage         bigint not null,
				primary key (subscription_id, month)
			);

			-- One row per licence, metered hour and plan: what it holds, and the usage record made of it.
			create table windows (
				subscription_id    uuid not null,
				hour               timestamptz not null,
				plan               text not null,
				counted            bigint not null default 0,
				carried            bigint not null default 0,          -- from earlier hours
				credited           bigint not null default 0,          -- of both, what credits take off its record
				state              text not null default 'counting',   -- then the status of its record
				record_id          uuid,
				dimension          text,
				region             text,
				quantity           bigint not null default 0,          -- of the record
				deadline           timestamptz,
				prepared_at        timestamptz,
				attempts           integer not null default 0,
				unanswered         integer not null default 0,         -- attempts without a known outcome
				retry_at           timestamptz,
				outcome            text not null default '',
				metering_record_id text not null default '',
				reason             text not null default '',
				changed_at         timestamptz,
				revision           bigint not null default -1,         -- of the record's stream
				primary key (subscription_id, hour, plan)
			);
			create index windows_counting on windows (hour) where state = 'counting';
			create index windows_open on windows (deadline) where state = 'open';
			create index windows_stuck on windows (hour) where state in ('quarantined', 'rejected');

			-- Where carried quantities went.
			create table carries (
				subscription_id uuid not null,
				from_hour       timestamptz not null,
				plan            text not null,
				hour            timestamptz not null,
				quantity        bigint not null,
				primary key (subscription_id, from_hour, plan)
			);
			create index carries_target on carries (subscription_id, hour, plan);

			-- What was credited of a month, and what of it has lowered records.
			create table credits (
				subscription_id uuid not null,
				month           date not null,
				calls           bigint not null,
				used            bigint not null default 0,
				primary key (subscription_id, month)
			);

			-- What came after the usage of an ended subscription was sealed: written off.
			create table late (
				subscription_id uuid not null,
				plan            text not null,
				calls           bigint not null,
				carried         bigint not null,
				primary key (subscription_id, plan)
			);`,
		Events: types(
			domain.CheckCompleted{}, domain.HourSealed{}, domain.SubscriptionUsageSealed{},
			domain.SubscriptionStarted{}, domain.PlanChanged{}, domain.SubscriptionEnded{}, domain.SubscriptionReinstated{},
			domain.UsageRecordPrepared{}, domain.UsageRecordAttempted{}, domain.UsageRecordDeferred{}, domain.UsageRecordAccepted{},
			domain.UsageRecordRejected{}, domain.UsageRecordQuarantined{}, domain.UsageCarriedOver{}, domain.UsageCredited{},
		),
		Apply:         applyMetering,
		StopsOnPoison: true,
	}
}

// applyMetering walks a batch in the order of the log, because an hour is what stands before its seal. Calls are added up
// and stored first: nothing else in the batch can change the hour that they belong to.
func applyMetering(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
	b, err := newMeteringBatch(ctx, tx, batch)
	if err != nil {
		return err
	}
	for _, r := range batch {
		if err := b.apply(r); err != nil {
			return err
		}
	}
	var all statements
	b.storeCounts(&all)
	all.QueuedQueries = append(all.QueuedQueries, b.changes.QueuedQueries...)
	if all.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &all.Batch).Close(); err != nil {
		return fmt.Errorf("change metered hours: %w", err)
	}
	return nil
}

type meteringWindow struct {
	subscription uuid.UUID
	hour         time.Time
	plan         domain.PlanID
}

type meteringLate struct {
	subscription uuid.UUID
	plan         domain.PlanID
}

// meteringLicence is what decides where usage of a subscription belongs.
type meteringLicence struct {
	reinstated bool      // since it has ended
	sealed     bool      // its usage is sealed: none is taken any more
	closed     time.Time // the newest hour that the seal of its usage has closed
	revision   int64     // of the newest event of its stream
	sealedRev  int64     // of the newest seal of its usage
}

// meteringBatch is what a batch of events means: the state it begins with and what it changes.
type meteringBatch struct {
	sealed time.Time // the newest sealed hour
	of     map[uuid.UUID]*meteringLicence
	shown  map[usageMonth]int64 // calls beyond the plan that are counted
	grown  map[usageMonth]bool  // months that the batch adds to
	behind map[uint64]bool      // positions of calls directly behind one that is skipped
	counts map[meteringWindow]int64
	late   map[meteringLate]int64

	changes statements // in the order of the log
}

func newMeteringBatch(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) (*meteringBatch, error) {
	b := &meteringBatch{
		of: map[uuid.UUID]*meteringLicence{}, shown: map[usageMonth]int64{}, grown: map[usageMonth]bool{},
		behind: map[uint64]bool{}, counts: map[meteringWindow]int64{}, late: map[meteringLate]int64{},
	}
	var subscriptions, counting []uuid.UUID
	var months []time.Time
	concerned := map[uuid.UUID]bool{}
	for _, r := range batch {
		var subscription uuid.UUID
		switch e := r.Event.(type) {
		case domain.CheckCompleted:
			if engine.BehindSkipped(ctx, r) {
				b.behind[r.Position] = true
			} else if e.Billing != domain.BillingOverage {
				continue
			}
			subscription = e.SubscriptionID
			month := usageMonth{e.SubscriptionID, e.Month}
			if _, listed := b.shown[month]; !listed {
				b.shown[month] = 0
				counting, months = append(counting, e.SubscriptionID), append(months, e.Month.Start())
			}
		case domain.UsageCarriedOver:
			subscription = e.SubscriptionID
		case domain.SubscriptionUsageSealed:
			subscription = e.SubscriptionID
		default:
			continue
		}
		if !concerned[subscription] {
			concerned[subscription] = true
			subscriptions = append(subscriptions, subscription)
		}
	}
	return b, b.load(ctx, tx, subscriptions, counting, months)
}

func (b *meteringBatch) load(ctx context.Context, tx pgx.Tx, subscriptions, counting []uuid.UUID, months []time.Time) error {
	var hour *time.Time
	if err := tx.QueryRow(ctx, "select max(hour) from seal").Scan(&hour); err != nil {
		return fmt.Errorf("read the newest sealed hour: %w", err)
	}
	b.sealed = orZero(hour).UTC()
	if len(subscriptions) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, `
		select subscription_id, reinstated, usage_sealed_at is not null, closed_hour, revision, seal_revision
		from licences where subscription_id = any($1)`, subscriptions)
	var subscription uuid.UUID
	var l meteringLicence
	var closed *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&subscription, &l.reinstated, &l.sealed, &closed, &l.revision, &l.sealedRev}, func() error {
		loaded := l
		loaded.closed = orZero(closed).UTC()
		b.of[subscription] = &loaded
		return nil
	}); err != nil {
		return fmt.Errorf("read licences: %w", err)
	}
	rows, _ = tx.Query(ctx, `
		select subscription_id, month, overage from months
		join unnest($1::uuid[], $2::date[]) as wanted (subscription_id, month) using (subscription_id, month)`, counting, months)
	var month time.Time
	var overage int64
	if _, err := pgx.ForEachRow(rows, []any{&subscription, &month, &overage}, func() error {
		b.shown[usageMonth{subscription, domain.MonthOf(month)}] = overage
		return nil
	}); err != nil {
		return fmt.Errorf("read how far months are counted: %w", err)
	}
	return nil
}

// licence returns what the events up to here say of a subscription.
func (b *meteringBatch) licence(id uuid.UUID) *meteringLicence {
	if b.of[id] == nil {
		b.of[id] = &meteringLicence{revision: -1, sealedRev: -1}
	}
	return b.of[id]
}

// hour returns the hour that something of a subscription belongs to which was recorded at a time and stands here in the log.
func (b *meteringBatch) hour(id uuid.UUID, recordedAt time.Time) time.Time {
	return domain.MeteringHour(recordedAt, b.closed(id))
}

// closed returns the newest hour that is closed for a subscription.
func (b *meteringBatch) closed(id uuid.UUID) time.Time {
	if own := b.licence(id).closed; own.After(b.sealed) {
		return own
	}
	return b.sealed
}

// count adds a call beyond the plan. Such calls carry a running number in their month: one that is shown already is
// skipped, and one left out means that the log does not hold what it must.
func (b *meteringBatch) count(e domain.CheckCompleted, recordedAt time.Time) error {
	month := usageMonth{e.SubscriptionID, e.Month}
	switch newest := b.shown[month]; {
	case e.OverageTotal <= newest:
		return nil
	case e.OverageTotal > newest+1:
		return fmt.Errorf("%w: overage %d of %s in %s follows overage %d", engine.ErrPoisonous, e.OverageTotal, e.SubscriptionID, e.Month, newest)
	}
	b.shown[month], b.grown[month] = e.OverageTotal, true
	if b.licence(e.SubscriptionID).sealed {
		b.late[meteringLate{e.SubscriptionID, e.Plan}]++
		return nil
	}
	b.counts[meteringWindow{e.SubscriptionID, b.hour(e.SubscriptionID, recordedAt), e.Plan}]++
	return nil
}

// goOn takes over from a call directly behind one that is skipped what was counted before it: whether the skipped one was beyond
// the plan, nothing else tells. It is not added to an hour, so nobody is billed for what cannot be read.
func (b *meteringBatch) goOn(e domain.CheckCompleted) {
	before := e.OverageTotal
	if e.Billing == domain.BillingOverage {
		before--
	}
	if month := (usageMonth{e.SubscriptionID, e.Month}); before > b.shown[month] {
		b.shown[month], b.grown[month] = before, true
	}
}

// storeCounts adds the calls to their windows.
func (b *meteringBatch) storeCounts(s *statements) {
	for month := range b.grown {
		s.add(`insert into months (subscription_id, month, overage) values ($1, $2, $3)
			on conflict (subscription_id, month) do update set overage = excluded.overage`,
			month.subscription, month.month.Start(), b.shown[month])
	}
	for w, n := range b.counts {
		s.add(`insert into windows as w (subscription_id, hour, plan, counted) values ($1, $2, $3, $4)
			on conflict (subscription_id, hour, plan) do update set counted = w.counted + excluded.counted`,
			w.subscription, w.hour, w.plan, n)
	}
	for l, n := range b.late {
		s.add(`insert into late as l (subscription_id, plan, calls, carried) values ($1, $2, $3, 0)
			on conflict (subscription_id, plan) do update set calls = l.calls + excluded.calls`, l.subscription, l.plan, n)
	}
}
