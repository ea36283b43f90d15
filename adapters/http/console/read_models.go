package console

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// ReadModels are the queries behind the console's screens. All are required.
type ReadModels struct {
	Usage         UsageQueries
	Keys          KeyQueries
	Subscriptions SubscriptionQueries
	Accounts      AccountQueries
	Activity      ActivityQueries
	Metering      MeteringQueries
}

// UsageQueries tell what was counted.
type UsageQueries interface {
	Month(ctx context.Context, subscription uuid.UUID, month domain.Month) (projections.MonthlyUsage, error)
	Months(ctx context.Context, subscription uuid.UUID) ([]projections.MonthlyUsage, error)
	Days(ctx context.Context, subscription uuid.UUID, month domain.Month) ([]projections.DailyUsage, error)
	Checks(ctx context.Context, subscription uuid.UUID, behind projections.CheckCursor, limit int) ([]projections.CountedCheck, error)
}

// KeyQueries list API keys.
type KeyQueries interface {
	KeysOf(ctx context.Context, customer uuid.UUID) ([]projections.APIKey, error)
}

// SubscriptionQueries tell where a subscription stands.
type SubscriptionQueries interface {
	Subscription(ctx context.Context, id uuid.UUID) (projections.SubscriptionRow, bool, error)
}

// AccountQueries tell whose account it is.
type AccountQueries interface {
	Account(ctx context.Context, customer uuid.UUID) (projections.AccountView, bool, error)
}

// ActivityQueries tell what happened on an account.
type ActivityQueries interface {
	List(ctx context.Context, customer uuid.UUID, before uint64, limit int) ([]projections.ActivityEntry, error)
}

// MeteringQueries tell what became of the calls beyond the plan.
type MeteringQueries interface {
	Reported(ctx context.Context, subscription uuid.UUID, month domain.Month) (projections.ReportedOverage, error)
	Credits(ctx context.Context, subscription uuid.UUID) ([]projections.MonthCredit, error)
}

func (m ReadModels) complete() bool {
	return m.Metering != nil && m.Usage != nil && m.Keys != nil && m.Subscriptions != nil && m.Accounts != nil && m.Activity != nil
}
