package metering

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Credit takes calls beyond the plan of one month off what is reported to AWS, by a person's decision.
type Credit struct {
	By             commands.Origin
	SubscriptionID uuid.UUID
	Month          domain.Month
	Calls          int64
	Why            string // shown to the customer
}

// CreditUsage runs the command and returns what is credited of the month then. It needs nothing but the log, so that an
// operator can run it from anywhere.
func CreditUsage(ctx context.Context, x commands.Executor, cmd Credit) (commands.Result[domain.UsageCredits], error) {
	none := commands.Result[domain.UsageCredits]{}
	subscription, err := commands.Read[domain.Subscription](ctx, x.Store, domain.SubscriptionStream(cmd.SubscriptionID))
	if err != nil {
		return none, err
	}
	usage := domain.UsageMonth{Month: cmd.Month}
	stream := domain.UsageStream(cmd.SubscriptionID, cmd.Month)
	last, found, err := x.Store.ReadLast(ctx, stream)
	if err != nil {
		return none, commands.Unavailable(fmt.Errorf("read %s: %w", stream, err))
	}
	if found {
		usage = usage.Fold(last.Event)
	}
	return commands.Execute(ctx, x, cmd.By, domain.UsageCreditsStream(cmd.SubscriptionID, cmd.Month),
		func(c domain.UsageCredits) ([]domain.Event, error) {
			return c.Credit(subscription, usage, cmd.Calls, cmd.Why, x.Now())
		})
}
