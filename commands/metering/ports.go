package metering

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// MaxUsageBatch is the largest number of records that AWS takes in one call.
const MaxUsageBatch = 25

// UsageReport is the usage of one licence and dimension in one hour. It never changes between attempts.
type UsageReport struct {
	// Identity names the buyer: account and licence, or the customer identifier alone for a listing from before 2026.
	Identity domain.MarketplaceIdentity
	// Dimension is the metered dimension.
	Dimension string
	// Quantity is the hour's own usage, 0 to 2,147,483,647.
	Quantity int64
	// Timestamp is the hour's one timestamp, in whole seconds.
	Timestamp time.Time
}

// UsageAnswer is what one attempt came to for one report.
type UsageAnswer struct {
	Outcome domain.MeteringOutcome
	// RecordID is AWS's metering record id; empty unless the report was accepted.
	RecordID string
}

// UsageMeter reports usage to AWS.
//
// MeterUsage sends up to MaxUsageBatch reports of one product in one call, once, and gives one answer per report, in their
// order, whatever happens. The error, for logs, is what refused or broke the call as a whole; the answers already say so.
type UsageMeter interface {
	MeterUsage(ctx context.Context, reports []UsageReport) ([]UsageAnswer, error)
}

// ReadModelName is the name of the read model behind ReadModel.
const ReadModelName = "metering"

// ReadModel finds what metering has to work on. It may lag behind the log: what it names is decided on the log.
//
// Ended lists subscriptions that have ended and whose usage is not sealed.
//
// Sealed lists sealed hours with usage and without a record behind the given one, the zero value for all: by hour,
// subscription and plan, at most limit.
//
// Idle lists, for a sealed hour, the subscriptions that were served without any usage beyond their plan.
//
// Due lists open records of a Region that may be sent now: those of ended subscriptions first, then by deadline. With
// probe it lists those with an unanswered attempt first, whether their pause is over or not.
//
// Late lists open records of all Regions whose deadline is at or before a time.
//
// NextDue returns when the next open record of a Region may be sent; the zero time when none is open.
type ReadModel interface {
	Ended(ctx context.Context) ([]EndedSubscription, error)
	Sealed(ctx context.Context, after domain.SealedUsage, limit int) ([]domain.SealedUsage, error)
	Idle(ctx context.Context, hour time.Time) ([]domain.SealedUsage, error)
	Due(ctx context.Context, region string, now time.Time, probe bool, limit int) ([]domain.UsageRecordKey, error)
	Late(ctx context.Context, deadline time.Time, limit int) ([]domain.UsageRecordKey, error)
	NextDue(ctx context.Context, region string) (time.Time, error)
}

// EndedSubscription is a subscription that has ended, and when the log learned of it.
type EndedSubscription struct {
	ID         uuid.UUID
	RecordedAt time.Time
}
