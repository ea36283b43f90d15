package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// SubscriptionsProjection keeps where every subscription stands.
func SubscriptionsProjection() engine.Projection {
	return engine.Projection{
		Name:    subscriptions.DirectoryReadModel,
		Version: 2,
		Tables: `
			create table subscriptions (
				subscription_id     uuid primary key,
				customer_id         uuid not null,
				aws_account_id      text not null,
				license_arn         text not null,
				product_code        text not null,
				agreement_id        text not null,
				customer_identifier text not null,
				plan                text not null,
				call_limit          bigint not null,
				policy              text not null,
				ceiling             bigint not null default 0, -- of calls beyond the plan; 0 for none
				status              text not null,
				started_at          timestamptz not null, -- or when it is to start
				expires_at          timestamptz,
				ended_at            timestamptz,
				revision            bigint not null -- of the last event in the row
			);
			create index subscriptions_customer on subscriptions (customer_id);
			create index subscriptions_aws_account on subscriptions (aws_account_id);`,
		Events: types(
			domain.SubscriptionScheduled{}, domain.SubscriptionStarted{}, domain.PlanChanged{}, domain.OverageSwitched{}, domain.AgreementLinked{},
			domain.UnsubscribeRequested{}, domain.SubscriptionRenewed{}, domain.SubscriptionEnded{}, domain.SubscriptionReinstated{},
		),
		Apply: applyEach(changeSubscription),
	}
}

func changeSubscription(s *statements, r domain.Recorded) {
	const update, newer = "update subscriptions set revision = $2, ", " where subscription_id = $1 and revision < $2"
	begin := func(id, customer uuid.UUID, m domain.MarketplaceIdentity, values ...any) {
		s.add(`
			insert into subscriptions as s (subscription_id, customer_id, aws_account_id, license_arn, product_code, agreement_id,
				customer_identifier, plan, call_limit, policy, status, started_at, expires_at, revision)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
			on conflict (subscription_id) do update set agreement_id = excluded.agreement_id, plan = excluded.plan, call_limit = excluded.call_limit,
				policy = excluded.policy, status = excluded.status, started_at = excluded.started_at, expires_at = excluded.expires_at,
				ended_at = null, revision = excluded.revision
			where s.revision < excluded.revision`,
			append([]any{id, customer, m.AWSAccountID, m.LicenseARN, m.ProductCode, m.AgreementID, m.CustomerIdentifier}, values...)...)
	}
	switch e := r.Event.(type) {
	case domain.SubscriptionScheduled:
		begin(e.SubscriptionID, e.CustomerID, e.Marketplace, "", 0, domain.OverageContinue, domain.StatusScheduled, e.StartsAt, nil, r.Revision)
	case domain.SubscriptionStarted:
		begin(e.SubscriptionID, e.CustomerID, e.Marketplace, e.Plan, e.Limit, e.Overage, domain.StatusActive, e.StartedAt, known(e.ExpiresAt), r.Revision)
	case domain.PlanChanged:
		s.add(update+"plan = $3, call_limit = $4"+newer, e.SubscriptionID, r.Revision, e.Plan, e.Limit)
	case domain.OverageSwitched:
		s.add(update+"policy = $3, ceiling = $4"+newer, e.SubscriptionID, r.Revision, e.To, e.Ceiling)
	case domain.AgreementLinked:
		s.add(update+"agreement_id = $3"+newer, e.SubscriptionID, r.Revision, e.AgreementID)
	case domain.UnsubscribeRequested:
		s.add(update+"status = $3"+newer, e.SubscriptionID, r.Revision, domain.StatusEnding)
	case domain.SubscriptionRenewed:
		s.add(update+"status = $3, expires_at = coalesce($4, expires_at)"+newer,
			e.SubscriptionID, r.Revision, domain.StatusActive, known(e.ExpiresAt))
	case domain.SubscriptionEnded:
		s.add(update+"status = $3, ended_at = $4"+newer, e.SubscriptionID, r.Revision, domain.StatusEnded, e.EndedAt)
	case domain.SubscriptionReinstated:
		s.add(update+"status = case plan when '' then $4 else $3 end, ended_at = null"+newer,
			e.SubscriptionID, r.Revision, domain.StatusActive, domain.StatusScheduled)
	}
}

// known returns nil for a time that is not known, which is null in a row.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// SubscriptionRow is where a subscription stands. Times that are not known are zero.
type SubscriptionRow struct {
	ID          uuid.UUID
	CustomerID  uuid.UUID
	Marketplace domain.MarketplaceIdentity
	Plan        domain.PlanID
	Limit       int64
	Overage     domain.OveragePolicy
	Ceiling     int64 // most calls beyond the plan with "continue"; 0 for no end
	Status      domain.SubscriptionStatus
	StartedAt   time.Time
	ExpiresAt   time.Time
	EndedAt     time.Time
}

// Subscriptions answers questions about subscriptions.
type Subscriptions struct {
	pool *pgxpool.Pool
}

// NewSubscriptions queries through pool.
func NewSubscriptions(pool *pgxpool.Pool) *Subscriptions { return &Subscriptions{pool: pool} }

const selectSubscriptions = `
	select subscription_id, customer_id, aws_account_id, license_arn, product_code, agreement_id, customer_identifier,
		plan, call_limit, policy, ceiling, status, started_at, expires_at, ended_at
	from subscriptions.subscriptions`

func scanSubscription(row pgx.CollectableRow) (SubscriptionRow, error) {
	var s SubscriptionRow
	var expires, ended *time.Time
	m := &s.Marketplace
	err := row.Scan(&s.ID, &s.CustomerID, &m.AWSAccountID, &m.LicenseARN, &m.ProductCode, &m.AgreementID, &m.CustomerIdentifier,
		&s.Plan, &s.Limit, &s.Overage, &s.Ceiling, &s.Status, &s.StartedAt, &expires, &ended)
	s.ExpiresAt, s.EndedAt = orZero(expires), orZero(ended)
	return s, err
}

// Subscription returns one subscription; false when it is not known.
func (s *Subscriptions) Subscription(ctx context.Context, id uuid.UUID) (SubscriptionRow, bool, error) {
	return s.one(ctx, "subscription_id = $1", id)
}

func (s *Subscriptions) one(ctx context.Context, where string, id uuid.UUID) (SubscriptionRow, bool, error) {
	rows, _ := s.pool.Query(ctx, selectSubscriptions+" where "+where, id)
	found, err := pgx.CollectExactlyOneRow(rows, scanSubscription)
	if errors.Is(err, pgx.ErrNoRows) {
		return SubscriptionRow{}, false, nil
	}
	if err != nil {
		return SubscriptionRow{}, false, fmt.Errorf("read subscription %s: %w", id, err)
	}
	return found, true, nil
}

// OfCustomer returns the subscription of a customer; false when it is not known.
func (s *Subscriptions) OfCustomer(ctx context.Context, customer uuid.UUID) (SubscriptionRow, bool, error) {
	return s.one(ctx, "customer_id = $1", customer)
}

// List returns subscriptions in the order they started, at most limit of them from behind one on; uuid.Nil begins at the start.
func (s *Subscriptions) List(ctx context.Context, behind uuid.UUID, limit int) ([]SubscriptionRow, error) {
	rows, _ := s.pool.Query(ctx, selectSubscriptions+`
		where $1 = '00000000-0000-0000-0000-000000000000'::uuid
			or (started_at, subscription_id) > (select b.started_at, b.subscription_id from subscriptions.subscriptions b where b.subscription_id = $1)
		order by started_at, subscription_id limit $2`, behind, limit)
	all, err := pgx.CollectRows(rows, scanSubscription)
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	return all, nil
}
