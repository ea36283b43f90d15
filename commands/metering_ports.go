package commands

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

// MeteringReadModel is the name of the read model behind MeteringModel.
const MeteringReadModel = "metering"

// MeteringModel finds what metering has to work on. It may lag behind the log: what it names is decided on the log.
//
// Ended lists subscriptions that have ended and whose usage is not sealed.
//
// Sealed lists sealed hours with usage and without a record, oldest first, at most limit.
//
// Idle lists, for a sealed hour, the subscriptions that were served without any usage beyond their plan.
//
// Due lists open records of a Region that may be sent now: those of ended subscriptions first, then by deadline. With
// probe it lists those with an unanswered attempt first, whether their pause is over or not.
//
// Late lists open records of all Regions whose deadline is at or before a time.
//
// NextDue tells when the next open record of a Region may be sent; the zero time when none is open.
type MeteringModel interface {
	Ended(ctx context.Context) ([]EndedSubscription, error)
	Sealed(ctx context.Context, limit int) ([]domain.SealedUsage, error)
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

// EntitlementSource is what follows agreements asks of AWS Marketplace; see Marketplace for Entitlements.
//
// AllEntitlements lists the entitlements of every licence of the product.
type EntitlementSource interface {
	Entitlements(ctx context.Context, identity domain.MarketplaceIdentity) ([]ContractEntitlement, error)
	AllEntitlements(ctx context.Context) ([]LicensedEntitlement, error)
}

// LicensedEntitlement is an entitlement together with the licence that grants it.
type LicensedEntitlement struct {
	Identity domain.MarketplaceIdentity
	ContractEntitlement
}

// SubscriptionDirectory finds subscriptions by the names AWS has for them. It may lag behind the log.
type SubscriptionDirectory interface {
	ByAgreement(ctx context.Context, agreementID string) ([]uuid.UUID, error)
	ByAWSAccount(ctx context.Context, accountID string) ([]uuid.UUID, error)
	ByCustomerIdentifier(ctx context.Context, identifier string) ([]uuid.UUID, error)
	Serving(ctx context.Context) ([]uuid.UUID, error)
}

// Lease lets one node at a time do a piece of work. Hold waits for it, works under a context that ends when the lease is
// lost, and returns what work returned. It spares double work; nothing relies on it.
type Lease interface {
	Hold(ctx context.Context, work func(ctx context.Context) error) error
}
