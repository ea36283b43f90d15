package subscriptions

import (
	"cmp"
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

// FollowMarketplaceEvent keeps the message and brings the subscriptions it may concern up to what AWS says. After an
// error the message must come again; after none it may be deleted. A licence that is not registered yet needs nothing
// more: registration reads its entitlement.
func (s *EntitlementSync) FollowMarketplaceEvent(ctx context.Context, cmd FollowMarketplaceEvent) error {
	message := &cmd.Message
	message.ReceivedAt = s.Now().UTC()
	if message.HappenedAt.IsZero() {
		message.HappenedAt = message.ReceivedAt
	}
	if s.foreign(message.ProductCode) {
		s.Log.WarnContext(ctx, "a message of AWS Marketplace is about another product", "product_code", message.ProductCode, "type", message.Type)
		return nil
	}
	_, err := commands.Execute(ctx, s.Executor, cmd.By, message.Stream(), func(c domain.MarketplaceInbox) ([]domain.Event, error) {
		return c.Receive(*message), nil
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
	concerned, err := s.concerned(ctx, *message)
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
// again, which does no harm. The read model has to know who has registered before the message came: a subscription that it does
// not know yet would go on as if its agreement had not ended, and its last hour would be reported too late.
func (s *EntitlementSync) concerned(ctx context.Context, message domain.MarketplaceNotified) ([]uuid.UUID, error) {
	if message.LicenseID != "" {
		return []uuid.UUID{domain.SubscriptionIDForLicence(message.LicenseID)}, nil
	}
	kept, _, err := s.Store.ReadLast(ctx, message.Stream())
	if err == nil {
		err = s.Barrier.WaitFor(ctx, DirectoryReadModel, kept.Position)
	}
	if err != nil {
		return nil, fmt.Errorf("whom message %s is about is not known yet: %w", message.NotificationID, err)
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

// follow brings one subscription up to what AWS says of its licence. An announced end is followed without asking.
func (s *EntitlementSync) follow(ctx context.Context, cmd FollowMarketplaceEvent, id uuid.UUID) error {
	_, err := s.change(ctx, cmd.By, id, func(sub domain.Subscription) ([]domain.Event, error) {
		if s.foreign(sub.Marketplace.ProductCode) || !sub.Follows(cmd.MarketplaceEvent) {
			return nil, nil // not registered, or ended: what comes late revives nothing
		}
		observed, err := s.told(ctx, sub, cmd.Message)
		if err != nil {
			return nil, err
		}
		if end := sub.FollowEnd(cmd.MarketplaceEvent, observed.Inbox, s.Now()); len(end) > 0 {
			return end, nil
		}
		if observed.Entitled, err = s.entitlement(ctx, sub); err != nil {
			return nil, err
		}
		return sub.FollowAnnouncement(cmd.MarketplaceEvent, observed, s.Now()), nil
	})
	return err
}

// told returns what messages say of a subscription. Those of SNS name its customer alone.
func (s *EntitlementSync) told(
	ctx context.Context, sub domain.Subscription, message domain.MarketplaceNotified,
) (observed domain.Observation, err error) {
	name := domain.LicenceID(sub.Marketplace.LicenseARN)
	if message.LicenseID == "" && message.CustomerIdentifier != "" {
		name = message.CustomerIdentifier
	}
	if observed.Inbox, err = inbox(ctx, s.Store, name); err != nil || sub.Status != domain.StatusScheduled {
		return observed, err
	}
	account, err := inbox(ctx, s.Store, sub.Marketplace.AWSAccountID)
	observed.StartsAt = account.StartsNext(cmp.Or(observed.Inbox.AgreementID, sub.Marketplace.AgreementID), s.Now())
	return observed, err
}
