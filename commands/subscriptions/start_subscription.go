package subscriptions

import (
	"context"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// StartSubscription begins the subscription of a licence that AWS has resolved. However often the buyer returns, it
// starts once; a plan that AWS states anew is followed.
type StartSubscription struct {
	By       commands.Origin
	Identity domain.MarketplaceIdentity
	Entitled domain.Entitlement
}

// StartSubscription runs the command.
func (c Commands) StartSubscription(ctx context.Context, cmd StartSubscription) (commands.Result[domain.Subscription], error) {
	stream := domain.SubscriptionStream(domain.SubscriptionIDForLicence(cmd.Identity.LicenseARN))
	if cmd.Identity.AgreementID == "" {
		// A registration names the licence alone; a message that came before it has named the agreement too.
		var err error
		if cmd.Identity.AgreementID, err = knownAgreement(ctx, c.Store, cmd.Identity.LicenseARN); err != nil {
			return commands.Result[domain.Subscription]{}, err
		}
	}
	return commands.Execute(ctx, c.Executor, cmd.By, stream, func(s domain.Subscription) ([]domain.Event, error) {
		switch s.Status {
		case domain.StatusEnded:
			return nil, domain.ErrSubscriptionInactive
		case domain.StatusUnknown:
			return s.Start(cmd.Identity, cmd.Entitled, c.Now()), nil
		}
		events := s.FollowEntitlement(cmd.Entitled, c.Now())
		return append(events, s.LinkAgreement(cmd.Identity.AgreementID, c.Now())...), nil
	})
}
