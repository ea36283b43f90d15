package subscriptions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// maxTokenLength bounds a registration token, in bytes; AWS's are a fraction of it.
const maxTokenLength = 8 << 10

// RegisterBuyer takes the token that AWS Marketplace gave a buyer's browser.
type RegisterBuyer struct {
	By    commands.Origin
	Token string
}

// Buyer is where a resolved buyer stands.
type Buyer struct {
	CustomerID   uuid.UUID
	Subscription domain.Subscription
	Registered   bool // the onboarding screen was filled in before
	Active       bool // the account is in use: log in instead
	Erased       bool // the account is closed at somebody's request, and nobody else acts for the customer
	Position     uint64
}

// Registration receives buyers from AWS Marketplace.
type Registration struct {
	Commands
	Catalogue   domain.Catalogue
	Marketplace Marketplace
	ProductCode string // of the listing; empty accepts whichever product the seller's credentials resolve
}

// RegisterBuyer resolves the token, reads what was bought and starts the subscription, or schedules it when its contract
// starts later. It may be repeated: the subscription of a licence starts once, and a plan that AWS states anew is followed. That
// the buyer returns withdraws no end that was announced.
func (r *Registration) RegisterBuyer(ctx context.Context, cmd RegisterBuyer) (Buyer, error) {
	if cmd.Token == "" || len(cmd.Token) > maxTokenLength {
		return Buyer{}, ErrTokenInvalid
	}
	identity, err := r.Marketplace.ResolveBuyer(ctx, cmd.Token)
	if err != nil {
		return Buyer{}, marketplaceUnavailable(fmt.Errorf("resolve buyer: %w", err))
	}
	// AWS marks no field of its answer as required. Without these two, nothing could be attributed or metered.
	if identity.AWSAccountID == "" || identity.LicenseARN == "" {
		return Buyer{}, ErrMarketplaceUnavailable.Because(errors.New("AWS resolved a buyer without account or licence"))
	}
	if r.ProductCode != "" && identity.ProductCode != r.ProductCode {
		return Buyer{}, ErrForeignProduct.Because(fmt.Errorf("product code %q", identity.ProductCode))
	}
	id := domain.SubscriptionIDForLicence(identity.LicenseARN)
	started, err := r.settle(ctx, cmd.By, id, func(s domain.Subscription) ([]domain.Event, error) { return r.register(ctx, s, identity) })
	if err != nil && started.Position == 0 {
		return Buyer{}, err // what was recorded stands, and the next comparison follows what AWS says of it then
	}
	customer := started.State.CustomerID
	account, err := commands.Read[domain.Account](ctx, r.Store, domain.AccountStream(customer))
	if err != nil {
		return Buyer{}, err
	}
	members, err := commands.Read[domain.Members](ctx, r.Store, domain.MembersStream(customer))
	if err != nil {
		return Buyer{}, err
	}
	erased := account.Erased && !members.HasOwnerBeside(customer)
	return Buyer{
		CustomerID: customer, Subscription: started.State,
		Registered: account.Registered(), Active: account.Settled() && !erased, Erased: erased, Position: started.Position,
	}, nil
}

// register decides what a buyer's licence comes to, by what AWS lists of it now.
func (r *Registration) register(ctx context.Context, s domain.Subscription, identity domain.MarketplaceIdentity) ([]domain.Event, error) {
	if s.Status == domain.StatusEnded {
		return nil, domain.ErrSubscriptionInactive
	}
	contract, err := r.Marketplace.Entitlements(ctx, identity)
	if err != nil {
		return nil, marketplaceUnavailable(fmt.Errorf("read entitlements: %w", err))
	}
	entitled, err := r.Catalogue.Entitlement(contract)
	if err != nil {
		return nil, err
	}
	if identity, err = r.named(ctx, identity); err != nil {
		return nil, err
	}
	if !entitled.None() {
		events := append(s.Start(identity, entitled, r.Now()), s.FollowListing(entitled, 0, r.Now())...)
		return append(events, s.LinkAgreement(identity.AgreementID, r.Now())...), nil
	}
	told, err := inbox(ctx, r.Store, identity.AWSAccountID)
	if err != nil {
		return nil, err
	}
	startsAt := told.StartsNext(identity.AgreementID, r.Now())
	if startsAt.IsZero() && s.Status != domain.StatusScheduled || s.Serves() {
		return nil, ErrNoEntitlement
	}
	if startsAt.IsZero() {
		return nil, nil // its time has come, and AWS lists it in a moment
	}
	return s.Schedule(identity, startsAt, r.Now()), nil
}

// marketplaceUnavailable takes every failure that is not a refusal for AWS being unreachable.
func marketplaceUnavailable(err error) error {
	if domain.KindOf(err) != "" || errors.Is(err, context.Canceled) {
		return err
	}
	return ErrMarketplaceUnavailable.Because(err)
}
