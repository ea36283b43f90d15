package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// MarketplaceEventKind is what a message of AWS Marketplace means for a subscription.
type MarketplaceEventKind string

// The kinds of message.
const (
	EntitlementChanged MarketplaceEventKind = "changed" // it began, changed or was renewed
	AgreementEnding    MarketplaceEventKind = "ending"  // the agreement ended without a successor
	LicenceEnded       MarketplaceEventKind = "ended"   // the licence is no longer valid
	PurchaseRefused    MarketplaceEventKind = "refused" // payment failed: nothing may be created
	NothingChanged     MarketplaceEventKind = "noted"   // nothing that changes access
)

// MarketplaceEvent is a message of AWS Marketplace and what it means.
type MarketplaceEvent struct {
	Kind    MarketplaceEventKind
	Message domain.MarketplaceNotified // ReceivedAt is filled in
}

// FollowMarketplaceEvent takes a message of AWS Marketplace.
type FollowMarketplaceEvent struct {
	By commands.Origin
	MarketplaceEvent
}

// errStillEntitled asks for the message again: AWS says that a licence has ended and still lists its entitlement.
var errStillEntitled = errors.New("AWS still lists an entitlement of the ended licence")

// endedTimeout is how long an entitlement may outlive the message that its licence has ended. After that it counts: the
// buyer has come back.
const endedTimeout = 15 * time.Minute

// FollowMarketplaceEvent keeps the message and brings the subscriptions it may concern up to what AWS says. After an
// error the message must come again; after none it may be deleted. A licence that is not registered yet needs nothing
// more: registration reads its entitlement.
func (s *EntitlementSync) FollowMarketplaceEvent(ctx context.Context, cmd FollowMarketplaceEvent) error {
	message := cmd.Message
	message.ReceivedAt = s.Now().UTC()
	if s.ProductCode != "" && message.ProductCode != "" && message.ProductCode != s.ProductCode {
		s.Log.WarnContext(ctx, "a message of AWS Marketplace is about another product", "product_code", message.ProductCode, "type", message.Type)
		return nil
	}
	_, err := commands.Execute(ctx, s.Executor, cmd.By, message.Stream(), func(c domain.Correspondence) ([]domain.Event, error) {
		return c.Receive(message), nil
	})
	if err != nil {
		return fmt.Errorf("keep message %s: %w", message.NotificationID, err)
	}
	switch cmd.Kind {
	case EntitlementChanged, AgreementEnding, LicenceEnded:
	case PurchaseRefused:
		s.Log.WarnContext(ctx, "AWS Marketplace refused a purchase", "customer", message.CustomerIdentifier)
		return nil
	default:
		return nil
	}
	concerned, err := s.concerned(ctx, message)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range concerned {
		if err := s.follow(ctx, cmd, id); err != nil {
			errs = append(errs, fmt.Errorf("follow %q for subscription %s: %w", message.Type, id, err))
		}
	}
	return errors.Join(errs...)
}

// concerned lists the subscriptions that a message may be about. A licence names its subscription, whether it is
// registered or not. An agreement is looked up; where it is not known yet, every subscription of the account is read
// again, which does no harm.
func (s *EntitlementSync) concerned(ctx context.Context, message domain.MarketplaceNotified) ([]uuid.UUID, error) {
	if message.LicenseID != "" {
		return []uuid.UUID{domain.SubscriptionIDForLicense(message.LicenseID)}, nil
	}
	for _, look := range []struct {
		name string
		find func(context.Context, string) ([]uuid.UUID, error)
	}{
		{message.CustomerIdentifier, s.Directory.ByCustomerIdentifier},
		{message.AgreementID, s.Directory.ByAgreement},
		{message.AWSAccountID, s.Directory.ByAWSAccount},
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
func (s *EntitlementSync) follow(ctx context.Context, cmd FollowMarketplaceEvent, id uuid.UUID) error {
	subscription, err := s.subscription(ctx, id)
	if err != nil || !subscription.Serves() {
		return err // not registered, or ended for good: what comes late revives nothing
	}
	entitled, err := s.entitlement(ctx, subscription)
	now := s.Now()
	ending := cmd.Kind == LicenceEnded || cmd.Kind == AgreementEnding && s.itsAgreement(subscription, cmd.Message)
	switch {
	case errors.Is(err, ErrNoEntitlement) && (ending || !subscription.ExpiresAt.IsZero() && !now.Before(subscription.ExpiresAt)):
		return s.end(ctx, cmd.By, id, endReason(cmd.Message), endedAt(cmd.Message.HappenedAt, now))
	case errors.Is(err, ErrNoEntitlement):
		return nil // AWS's two answers may be of different age; the timer looks again
	case err != nil:
		return err
	case cmd.Kind == LicenceEnded && now.Sub(cmd.Message.HappenedAt) < endedTimeout:
		if err := s.change(ctx, cmd.By, id, func(sub domain.Subscription) []domain.Event { return sub.RequestUnsubscribe(now) }); err != nil {
			return err
		}
		return errStillEntitled
	case ending && cmd.Kind == AgreementEnding:
		return s.change(ctx, cmd.By, id, func(sub domain.Subscription) []domain.Event { return sub.RequestUnsubscribe(now) })
	}
	agreement, err := knownAgreement(ctx, s.Store, subscription.Marketplace.LicenseARN)
	if err != nil {
		return err
	}
	return s.change(ctx, cmd.By, id, func(sub domain.Subscription) []domain.Event {
		events := sub.FollowEntitlement(entitled, now)
		return append(events, sub.LinkAgreement(agreement, now)...)
	})
}

// itsAgreement says whether a message is about the agreement that a subscription rests on now. One about an earlier
// agreement, or about another of the same account, ends nothing.
func (s *EntitlementSync) itsAgreement(sub domain.Subscription, message domain.MarketplaceNotified) bool {
	return message.AgreementID == "" || message.AgreementID == sub.Marketplace.AgreementID
}

func endReason(message domain.MarketplaceNotified) string {
	if message.AgreementStatus != "" {
		return message.Type + ": " + message.AgreementStatus
	}
	return message.Type
}
