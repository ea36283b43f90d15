package subscriptions

import (
	"context"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// StartSubscription begins the subscription of a licence by what AWS has answered before. However often it is repeated, it
// starts once, and nothing that has started follows an answer that may be older.
type StartSubscription struct {
	By       commands.Origin
	Identity domain.MarketplaceIdentity
	Entitled domain.Entitlement
}

// StartSubscription runs the command.
func (c Commands) StartSubscription(ctx context.Context, cmd StartSubscription) (commands.Result[domain.Subscription], error) {
	id := domain.SubscriptionIDForLicence(cmd.Identity.LicenseARN)
	return commands.Execute(ctx, c.Executor, cmd.By, domain.SubscriptionStream(id), func(s domain.Subscription) ([]domain.Event, error) {
		if s.Status == domain.StatusEnded {
			return nil, domain.ErrSubscriptionInactive
		}
		identity, err := c.named(ctx, cmd.Identity)
		if err != nil {
			return nil, err
		}
		events := s.Start(identity, cmd.Entitled, c.Now())
		return append(events, s.LinkAgreement(identity.AgreementID, c.Now())...), nil
	})
}

// named completes an identity by the agreement: a registration names the licence alone, and a message that came before it
// has named the agreement too.
func (c Commands) named(ctx context.Context, identity domain.MarketplaceIdentity) (domain.MarketplaceIdentity, error) {
	if identity.AgreementID != "" {
		return identity, nil
	}
	told, err := inboxOf(ctx, c.Store, identity)
	identity.AgreementID = told.AgreementID
	return identity, err
}
