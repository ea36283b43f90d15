package commands

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// SwitchOverage chooses what happens to calls beyond the plan's limit. Once it has returned it holds for the next call on
// every node.
type SwitchOverage struct {
	By             Origin
	SubscriptionID uuid.UUID
	To             domain.OveragePolicy
}

// SwitchOverage runs the command.
func (a *Application) SwitchOverage(ctx context.Context, cmd SwitchOverage) (SubscriptionStanding, error) {
	done, err := a.changeSubscription(ctx, cmd.By, domain.SubscriptionStream(cmd.SubscriptionID),
		func(s domain.Subscription) ([]domain.Event, error) { return s.SwitchOverage(cmd.To, a.Now()) })
	if err != nil {
		return done, err
	}
	return done, Unavailable(WaitOutStaleness(ctx))
}
