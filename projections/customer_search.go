package projections

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// FoundCustomer is a customer and what led to it.
type FoundCustomer struct {
	CustomerID uuid.UUID
	By         string
}

// CustomerSearch finds customers by whatever an operator has of them.
type CustomerSearch struct {
	pool *pgxpool.Pool
}

// NewCustomerSearch queries through pool.
func NewCustomerSearch(pool *pgxpool.Pool) *CustomerSearch { return &CustomerSearch{pool: pool} }

// Find returns the customers that a text names: an id of AWS Marketplace, or the visible part of an API key, present or
// replaced, or the key itself.
func (s *CustomerSearch) Find(ctx context.Context, text string) ([]FoundCustomer, error) {
	return s.find(ctx, `
		select customer_id, 'AWS account' from subscriptions.subscriptions where aws_account_id = $1
		union select customer_id, 'licence' from subscriptions.subscriptions where $1 in (license_arn, substring(license_arn from '[^:/]*$'))
		union select customer_id, 'agreement' from subscriptions.subscriptions where agreement_id = $1
		union select customer_id, 'customer identifier of AWS' from subscriptions.subscriptions where customer_identifier = $1
		union select customer_id, slot || ' API key' from api_keys.keys where prefix = left($1, length(prefix))
		union select customer_id, slot || ' API key, replaced' from key_history.replaced where prefix = left($1, length(prefix))`, text)
}

// FindID returns the customers that an id is of: their own, that of a subscription, a person or a call that failed. Calls
// that were counted have no index by id; their events are in the log.
func (s *CustomerSearch) FindID(ctx context.Context, id uuid.UUID) ([]FoundCustomer, error) {
	return s.find(ctx, `
		select customer_id, 'customer' from subscriptions.subscriptions where customer_id = $1
		union select customer_id, 'subscription' from subscriptions.subscriptions where subscription_id = $1
		union select customer_id, 'person' from members.members where account_id = $1 and role is not null
		union select customer_id, 'request that failed' from newest_failed_calls where request_id = $1`, id)
}

func (s *CustomerSearch) find(ctx context.Context, query string, args ...any) ([]FoundCustomer, error) {
	rows, _ := s.pool.Query(ctx, query+" order by 1, 2", args...)
	return collected(rows, "customers", pgx.RowToStructByPos[FoundCustomer])
}
