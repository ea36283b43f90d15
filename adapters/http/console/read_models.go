package console

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// Lateness tells whether a read model has lacked something of the log for longer than a moment.
type Lateness interface {
	Late(ctx context.Context, readModel string) bool
}

// ReadModels are the queries behind the console's screens. All are required.
type ReadModels struct {
	Usage         UsageQueries
	Keys          KeyQueries
	Subscriptions SubscriptionQueries
	Accounts      AccountQueries
	Members       MemberQueries
	Activity      ActivityQueries
	Metering      MeteringQueries
	Failures      FailureQueries
	KeyNames      KeyNameQueries
	Traffic       TrafficQueries
}

// UsageQueries tell what was counted.
type UsageQueries interface {
	Month(ctx context.Context, subscription uuid.UUID, month domain.Month) (projections.MonthlyUsage, error)
	Months(ctx context.Context, subscription uuid.UUID) ([]projections.MonthlyUsage, error)
	Days(ctx context.Context, subscription uuid.UUID, month domain.Month) ([]projections.DailyUsage, error)
	Checks(ctx context.Context, subscription uuid.UUID, filter projections.CheckFilter, behind projections.CheckCursor, limit int) (
		[]projections.CountedCheck, error)
	OverageByPlan(ctx context.Context, subscription uuid.UUID, month domain.Month) ([]domain.PlanOverage, error)
	MonthChecks(ctx context.Context, subscription uuid.UUID, month domain.Month, behind int64, limit int) ([]projections.RequestedCheck, error)
}

// KeyQueries list API keys.
type KeyQueries interface {
	KeysOf(ctx context.Context, customer uuid.UUID) ([]projections.APIKey, error)
}

// SubscriptionQueries tell where a subscription stands.
type SubscriptionQueries interface {
	Subscription(ctx context.Context, id uuid.UUID) (projections.SubscriptionRow, bool, error)
	OfCustomer(ctx context.Context, customer uuid.UUID) (projections.SubscriptionRow, bool, error)
}

// AccountQueries tell whose login it is, and who registered a customer.
type AccountQueries interface {
	Account(ctx context.Context, id uuid.UUID) (projections.AccountView, bool, error)
}

// MemberQueries tell who may act for which customer.
type MemberQueries interface {
	CustomersOf(ctx context.Context, account uuid.UUID) ([]projections.Member, error)
	PeopleOf(ctx context.Context, customer uuid.UUID) ([]projections.Member, error)
	InvitationsOf(ctx context.Context, customer uuid.UUID) ([]projections.PendingInvitation, error)
}

// ActivityQueries tell what happened to a customer, and to the login that looks.
type ActivityQueries interface {
	List(ctx context.Context, customer, account uuid.UUID, filter projections.ActivityFilter, before uint64, limit int) ([]projections.ActivityEntry, error)
}

// MeteringQueries tell what became of the calls beyond the plan.
type MeteringQueries interface {
	Reported(ctx context.Context, subscription uuid.UUID, month domain.Month) (projections.ReportedOverage, error)
	Credits(ctx context.Context, subscription uuid.UUID) ([]projections.MonthCredit, error)
}

// KeyNameQueries tell how a customer has named the keys.
type KeyNameQueries interface {
	NamesOf(ctx context.Context, customer uuid.UUID) (map[domain.KeySlot]string, error)
}

// TrafficQueries tell how counted calls came in.
type TrafficQueries interface {
	KeyUse(ctx context.Context, subscription uuid.UUID) (projections.KeyUse, error)
	Hours(ctx context.Context, subscription uuid.UUID, from, to time.Time) ([]projections.TrafficHour, projections.Latency, error)
}

// FailureQueries tell which calls were not answered with a result.
type FailureQueries interface {
	Kinds(ctx context.Context, customer uuid.UUID, from, to time.Time) ([]counting.FailureKind, error)
	Hours(ctx context.Context, customer uuid.UUID, from, to time.Time) ([]counting.FailedHour, error)
	Newest(ctx context.Context, customer uuid.UUID) ([]counting.FailedCall, error)
}

func (m ReadModels) complete() bool {
	return m.KeyNames != nil && m.Traffic != nil && m.Failures != nil && m.Metering != nil && m.Usage != nil && m.Keys != nil && m.Subscriptions != nil && m.Accounts != nil && m.Members != nil && m.Activity != nil
}
