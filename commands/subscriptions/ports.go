package subscriptions

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Marketplace is what registration asks of AWS Marketplace.
//
// ResolveBuyer returns whom a registration token stands for; ErrTokenExpired or ErrTokenInvalid when it stands for nobody.
//
// Entitlements lists what a buyer's licence entitles to now; none when the contract has ended or is not known yet.
//
// Every other failure means that AWS did not answer and the same call may succeed later.
type Marketplace interface {
	ResolveBuyer(ctx context.Context, token string) (domain.MarketplaceIdentity, error)
	Entitlements(ctx context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error)
}

// Refusals of a registration.
var (
	ErrTokenExpired = &domain.Error{Kind: domain.KindInvalid, Code: "registration_token_expired",
		Message: "The registration link from AWS Marketplace has expired. Open your subscription in the AWS console and choose \"Set up your account\" again."}
	ErrTokenInvalid = &domain.Error{Kind: domain.KindInvalid, Code: "registration_token_invalid",
		Message: "AWS Marketplace does not know this registration link. Open your subscription in the AWS console and choose \"Set up your account\"."}
	ErrForeignProduct = &domain.Error{Kind: domain.KindInvalid, Code: "foreign_product",
		Message: "This registration belongs to another product on AWS Marketplace. Open the subscription of the Liveness Detection API in the AWS console and choose \"Set up your account\"."}
	ErrNoEntitlement = &domain.Error{Kind: domain.KindForbidden, Code: "no_entitlement",
		Message: "AWS Marketplace does not show an active contract for this subscription yet. Wait a minute, then choose \"Set up your account\" in the AWS console again."}
	ErrMarketplaceUnavailable = &domain.Error{Kind: domain.KindUnavailable, Code: "marketplace_unavailable", RetryAfter: 30 * time.Second,
		Message: "AWS Marketplace does not answer at the moment. Your purchase is safe; try again in a minute."}
)

// EntitlementSource is what follows agreements asks of AWS Marketplace; see Marketplace for Entitlements.
//
// AllEntitlements lists the entitlements of every licence of the product.
type EntitlementSource interface {
	Entitlements(ctx context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error)
	AllEntitlements(ctx context.Context) ([]LicensedEntitlement, error)
}

// LicensedEntitlement is an entitlement together with the licence that grants it.
type LicensedEntitlement struct {
	Identity domain.MarketplaceIdentity
	domain.ContractEntitlement
}

// DirectoryReadModel is the name of the read model behind SubscriptionDirectory.
const DirectoryReadModel = "subscriptions"

// SubscriptionDirectory finds subscriptions by the names AWS has for them, and by where they stand: Serving lists those that
// have not ended, Scheduled those whose contract starts later. It may lag behind the log.
type SubscriptionDirectory interface {
	ByAgreement(ctx context.Context, agreementID string) ([]uuid.UUID, error)
	ByAWSAccount(ctx context.Context, accountID string) ([]uuid.UUID, error)
	ByCustomerIdentifier(ctx context.Context, identifier string) ([]uuid.UUID, error)
	Serving(ctx context.Context) ([]uuid.UUID, error)
	Scheduled(ctx context.Context) ([]uuid.UUID, error)
}

// EntitlementGaps remembers, whichever node compares and however often it is restarted, what comparisons with AWS did not find.
//
// Gaps returns what the last comparison remembered, and Remember replaces it, with what kept the comparison as a whole from
// saying anything, "" for nothing. LastComparison returns when that was; the zero time when never.
type EntitlementGaps interface {
	Gaps(ctx context.Context) (map[uuid.UUID]domain.EntitlementGap, error)
	Remember(ctx context.Context, gaps map[uuid.UUID]domain.EntitlementGap, problem string, at time.Time) error
	LastComparison(ctx context.Context) (time.Time, error)
}
