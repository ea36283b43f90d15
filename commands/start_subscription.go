package commands

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// StartSubscription begins the subscription of a licence that AWS has resolved. However often the buyer returns, it
// starts once; a plan that AWS states anew is followed.
type StartSubscription struct {
	By       Origin
	Identity domain.MarketplaceIdentity
	Entitled domain.Entitlement
}

// SubscriptionStanding is a subscription as a command left it.
type SubscriptionStanding struct {
	Subscription domain.Subscription
	Position     uint64 // to wait for; 0 when nothing changed
}

// StartSubscription runs the command.
func (a *Application) StartSubscription(ctx context.Context, cmd StartSubscription) (SubscriptionStanding, error) {
	stream := domain.SubscriptionStream(domain.SubscriptionIDForLicense(cmd.Identity.LicenseARN))
	if cmd.Identity.AgreementID == "" {
		// A registration names the licence alone; a message that came before it has named the agreement too.
		var err error
		if cmd.Identity.AgreementID, err = a.knownAgreement(ctx, cmd.Identity.LicenseARN); err != nil {
			return SubscriptionStanding{}, err
		}
	}
	return a.changeSubscription(ctx, cmd.By, stream, func(s domain.Subscription) ([]domain.Event, error) {
		switch s.Status {
		case domain.StatusEnded:
			return nil, domain.ErrSubscriptionInactive
		case domain.StatusUnknown:
			return s.Start(cmd.Identity, cmd.Entitled, a.Now()), nil
		}
		events := s.FollowEntitlement(cmd.Entitled, a.Now())
		return append(events, s.LinkAgreement(cmd.Identity.AgreementID, a.Now())...), nil
	})
}

// changeSubscription decides on one subscription's stream.
func (a *Application) changeSubscription(
	ctx context.Context, by Origin, stream string, decide func(domain.Subscription) ([]domain.Event, error),
) (SubscriptionStanding, error) {
	done, err := Execute(ctx, a.Executor, by, stream, decide)
	return SubscriptionStanding{Subscription: done.State, Position: done.Position}, err
}

// Subscription reads a subscription from its stream.
func (a *Application) Subscription(ctx context.Context, id uuid.UUID) (domain.Subscription, error) {
	state, _, err := Load[domain.Subscription](ctx, a.Store, domain.SubscriptionStream(id))
	return state, Unavailable(err)
}
