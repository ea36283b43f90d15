package subscriptions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// FollowMarketplaceEvent takes a message of AWS Marketplace.
type FollowMarketplaceEvent struct {
	By commands.Origin
	domain.MarketplaceEvent
}

// errStillEntitled asks for the message again: AWS says that a licence has ended and still lists its entitlement.
var errStillEntitled = errors.New("AWS still lists an entitlement of the ended licence")

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
	_, err := commands.Execute(ctx, s.Executor, cmd.By, message.Stream(), func(c domain.MarketplaceInbox) ([]domain.Event, error) {
		return c.Receive(message), nil
	})
	if err != nil {
		return fmt.Errorf("keep message %s: %w", message.NotificationID, err)
	}
	switch cmd.Kind {
	case domain.EntitlementChanged, domain.AgreementEnding, domain.LicenceEnded:
	case domain.PurchaseRefused:
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
		return []uuid.UUID{domain.SubscriptionIDForLicence(message.LicenseID)}, nil
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
	var observed domain.Observation
	if observed.Entitled, err = s.entitlement(ctx, subscription); err != nil {
		return err
	}
	if observed.AgreementID, err = knownAgreement(ctx, s.Store, subscription.Marketplace.LicenseARN); err != nil {
		return err
	}
	again := false
	_, err = s.change(ctx, cmd.By, id, func(sub domain.Subscription) (events []domain.Event) {
		events, again = sub.FollowAnnouncement(cmd.MarketplaceEvent, observed, s.Now())
		return events
	})
	if err == nil && again {
		return errStillEntitled
	}
	return err
}
