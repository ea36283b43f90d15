package subscriptions

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ReinstateSubscription lets a subscription go on that has ended by mistake, by an operator's decision.
type ReinstateSubscription struct {
	By             commands.Origin
	SubscriptionID uuid.UUID
	Why            string
}

// ReinstateSubscription runs the command.
func (c Commands) ReinstateSubscription(ctx context.Context, cmd ReinstateSubscription) (commands.Result[domain.Subscription], error) {
	return commands.Execute(ctx, c.Executor, cmd.By, domain.SubscriptionStream(cmd.SubscriptionID),
		func(s domain.Subscription) ([]domain.Event, error) { return s.Reinstate(cmd.Why, c.Now()) })
}
