package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// MarketplaceEventKind is what a message of AWS Marketplace means for a subscription.
type MarketplaceEventKind string

// The kinds of message.
const (
	EntitlementChanged MarketplaceEventKind = "changed" // it began, changed or was renewed
	AgreementEnding    MarketplaceEventKind = "ending"  // the agreement ended without a successor
	LicenseEnded       MarketplaceEventKind = "ended"   // the licence is no longer valid
	PurchaseRefused    MarketplaceEventKind = "refused" // payment failed: nothing may be created
	MarketplaceNews    MarketplaceEventKind = "noted"   // nothing that changes access
)

// FollowMarketplaceEvent takes a message of AWS Marketplace.
type FollowMarketplaceEvent struct {
	By      Origin
	Kind    MarketplaceEventKind
	Message domain.MarketplaceNotified // ReceivedAt is filled in
}

// AgreementDesk follows the life of agreements. A message, and the passing of time, are reasons to read the entitlement
// from AWS, which alone says what holds: so it does not matter how often, in which order or how late messages arrive.
type AgreementDesk struct {
	app         *Application
	source      EntitlementSource
	directory   SubscriptionDirectory
	productCode string
	ended       func()

	missing map[uuid.UUID]int // how often in a row ReconcileEntitlements found no entitlement
}

// NewAgreementDesk follows the agreements on one product; an empty code takes all. It calls ended, if not nil, after a
// subscription has ended, and is for one goroutine at a time where ReconcileEntitlements is concerned.
func NewAgreementDesk(app *Application, source EntitlementSource, directory SubscriptionDirectory, productCode string, ended func()) *AgreementDesk {
	return &AgreementDesk{app: app, source: source, directory: directory, productCode: productCode, ended: ended, missing: map[uuid.UUID]int{}}
}

// errStillEntitled asks for the message again: AWS says that a licence has ended and still lists its entitlement.
var errStillEntitled = errors.New("AWS still lists an entitlement of the ended licence")

// endedPatience is how long an entitlement may outlive the message that its licence has ended. After that it counts: the
// buyer has come back.
const endedPatience = 15 * time.Minute

// FollowMarketplaceEvent keeps the message and brings the subscriptions it may concern up to what AWS says. After an
// error the message must come again; after none it may be deleted. A licence that is not registered yet needs nothing
// more: registration reads its entitlement.
func (d *AgreementDesk) FollowMarketplaceEvent(ctx context.Context, cmd FollowMarketplaceEvent) error {
	message := cmd.Message
	message.ReceivedAt = d.app.Now().UTC()
	if d.productCode != "" && message.ProductCode != "" && message.ProductCode != d.productCode {
		d.app.log.WarnContext(ctx, "a message of AWS Marketplace is about another product", "product_code", message.ProductCode, "type", message.Type)
		return nil
	}
	_, err := Execute(ctx, d.app.Executor, cmd.By, message.Stream(), func(c domain.Correspondence) ([]domain.Event, error) {
		return c.Receive(message), nil
	})
	if err != nil {
		return fmt.Errorf("keep message %s: %w", message.NotificationID, err)
	}
	switch cmd.Kind {
	case EntitlementChanged, AgreementEnding, LicenseEnded:
	case PurchaseRefused:
		d.app.log.WarnContext(ctx, "AWS Marketplace refused a purchase", "customer", message.CustomerIdentifier)
		return nil
	default:
		return nil
	}
	concerned, err := d.concerned(ctx, message)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range concerned {
		if err := d.follow(ctx, cmd, id); err != nil {
			errs = append(errs, fmt.Errorf("follow %q for subscription %s: %w", message.Type, id, err))
		}
	}
	return errors.Join(errs...)
}

// concerned lists the subscriptions that a message may be about. A licence names its subscription, whether it is
// registered or not. An agreement is looked up; where it is not known yet, every subscription of the account is read
// again, which does no harm.
func (d *AgreementDesk) concerned(ctx context.Context, message domain.MarketplaceNotified) ([]uuid.UUID, error) {
	if message.LicenseID != "" {
		return []uuid.UUID{domain.SubscriptionIDForLicense(message.LicenseID)}, nil
	}
	for _, look := range []struct {
		name string
		find func(context.Context, string) ([]uuid.UUID, error)
	}{
		{message.CustomerIdentifier, d.directory.ByCustomerIdentifier},
		{message.AgreementID, d.directory.ByAgreement},
		{message.AWSAccountID, d.directory.ByAWSAccount},
	} {
		if look.name == "" {
			continue
		}
		if found, err := look.find(ctx, look.name); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// follow brings one subscription up to what AWS says of its licence.
func (d *AgreementDesk) follow(ctx context.Context, cmd FollowMarketplaceEvent, id uuid.UUID) error {
	subscription, err := d.app.Subscription(ctx, id)
	if err != nil || !subscription.Serves() {
		return err // not registered, or ended for good: what comes late revives nothing
	}
	entitled, err := d.entitlement(ctx, subscription)
	now := d.app.Now()
	ending := cmd.Kind == LicenseEnded || cmd.Kind == AgreementEnding && d.itsAgreement(subscription, cmd.Message)
	switch {
	case errors.Is(err, ErrNoEntitlement) && (ending || !subscription.ExpiresAt.IsZero() && !now.Before(subscription.ExpiresAt)):
		return d.end(ctx, cmd.By, id, endReason(cmd.Message), endedAt(cmd.Message.HappenedAt, now))
	case errors.Is(err, ErrNoEntitlement):
		return nil // AWS's two answers may be of different age; the timer looks again
	case err != nil:
		return err
	case cmd.Kind == LicenseEnded && now.Sub(cmd.Message.HappenedAt) < endedPatience:
		if err := d.change(ctx, cmd.By, id, func(s domain.Subscription) []domain.Event { return s.RequestUnsubscribe(now) }); err != nil {
			return err
		}
		return errStillEntitled
	case ending && cmd.Kind == AgreementEnding:
		return d.change(ctx, cmd.By, id, func(s domain.Subscription) []domain.Event { return s.RequestUnsubscribe(now) })
	}
	agreement, err := d.app.knownAgreement(ctx, subscription.Marketplace.LicenseARN)
	if err != nil {
		return err
	}
	return d.change(ctx, cmd.By, id, func(s domain.Subscription) []domain.Event {
		events := s.FollowEntitlement(entitled, now)
		return append(events, s.LinkAgreement(agreement, now)...)
	})
}

// itsAgreement says whether a message is about the agreement that a subscription rests on now. One about an earlier
// agreement, or about another of the same account, ends nothing.
func (d *AgreementDesk) itsAgreement(s domain.Subscription, message domain.MarketplaceNotified) bool {
	return message.AgreementID == "" || message.AgreementID == s.Marketplace.AgreementID
}

// entitlement reads what AWS says; ErrNoEntitlement when it says that there is none.
func (d *AgreementDesk) entitlement(ctx context.Context, s domain.Subscription) (domain.Entitlement, error) {
	contract, err := d.source.Entitlements(ctx, s.Marketplace)
	if err != nil {
		return domain.Entitlement{}, fmt.Errorf("read entitlements: %w", err)
	}
	return EntitlementOf(d.app.catalogue, contract)
}

func (d *AgreementDesk) change(ctx context.Context, by Origin, id uuid.UUID, decide func(domain.Subscription) []domain.Event) error {
	_, err := d.app.changeSubscription(ctx, by, domain.SubscriptionStream(id), func(s domain.Subscription) ([]domain.Event, error) {
		return decide(s), nil
	})
	return err
}

func (d *AgreementDesk) end(ctx context.Context, by Origin, id uuid.UUID, reason string, at time.Time) error {
	if err := d.change(ctx, by, id, func(s domain.Subscription) []domain.Event { return s.End(reason, at) }); err != nil {
		return err
	}
	if d.ended != nil {
		d.ended()
	}
	return nil
}

func endReason(message domain.MarketplaceNotified) string {
	if message.AgreementStatus != "" {
		return message.Type + ": " + message.AgreementStatus
	}
	return message.Type
}

// endedAt is when AWS says it ended: AWS takes no usage stamped later. A time from the future is a clock's fault.
func endedAt(happened, now time.Time) time.Time {
	if happened.IsZero() || happened.After(now) {
		return now
	}
	return happened
}

// knownAgreement is the agreement that messages have named for a licence, which registration does not; "" when none has.
func (a *Application) knownAgreement(ctx context.Context, licenseARN string) (string, error) {
	messages, _, err := Load[domain.Correspondence](ctx, a.Store, domain.NotificationStream(domain.LicenseID(licenseARN)))
	return messages.AgreementID, Unavailable(err)
}
