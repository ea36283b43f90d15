package projections

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

var _ subscriptions.SubscriptionDirectory = (*Subscriptions)(nil)

// ByAgreement implements subscriptions.SubscriptionDirectory.
func (s *Subscriptions) ByAgreement(ctx context.Context, agreementID string) ([]uuid.UUID, error) {
	return s.ids(ctx, "agreement_id = $1", agreementID)
}

// ByAWSAccount implements subscriptions.SubscriptionDirectory.
func (s *Subscriptions) ByAWSAccount(ctx context.Context, accountID string) ([]uuid.UUID, error) {
	return s.ids(ctx, "aws_account_id = $1", accountID)
}

// ByCustomerIdentifier implements subscriptions.SubscriptionDirectory.
func (s *Subscriptions) ByCustomerIdentifier(ctx context.Context, identifier string) ([]uuid.UUID, error) {
	return s.ids(ctx, "customer_identifier = $1", identifier)
}

// Serving implements subscriptions.SubscriptionDirectory.
func (s *Subscriptions) Serving(ctx context.Context) ([]uuid.UUID, error) {
	return s.ids(ctx, "status <> $1", string(domain.StatusEnded))
}

// Scheduled implements subscriptions.SubscriptionDirectory.
func (s *Subscriptions) Scheduled(ctx context.Context) ([]uuid.UUID, error) {
	return s.ids(ctx, "status = $1", string(domain.StatusScheduled))
}

func (s *Subscriptions) ids(ctx context.Context, where, value string) ([]uuid.UUID, error) {
	rows, _ := s.pool.Query(ctx, "select subscription_id from subscriptions.subscriptions where "+where+" order by started_at, subscription_id", value)
	return collected(rows, "subscriptions", pgx.RowTo[uuid.UUID])
}
