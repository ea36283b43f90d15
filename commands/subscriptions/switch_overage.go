package subscriptions

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// SwitchOverage chooses what happens to calls beyond the plan's limit. Once it has returned it holds for the next call on
// every node.
type SwitchOverage struct {
	By             commands.Origin
	SubscriptionID uuid.UUID
	To             domain.OveragePolicy
	Ceiling        *int64 // most calls beyond the plan with "continue"; nil for no end
}

// SwitchOverage runs the command.
func (c Commands) SwitchOverage(ctx context.Context, cmd SwitchOverage) (commands.Result[domain.Subscription], error) {
	if err := c.Authorize(ctx, cmd.By, domain.CustomerIDForSubscription(cmd.SubscriptionID)); err != nil {
		return commands.Result[domain.Subscription]{}, err
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.SubscriptionStream(cmd.SubscriptionID),
		func(s domain.Subscription) ([]domain.Event, error) {
			return s.SwitchOverage(cmd.To, cmd.Ceiling, c.Now())
		})
	if err != nil {
		return done, err
	}
	return done, commands.Unavailable(commands.WaitOutStaleness(ctx))
}
