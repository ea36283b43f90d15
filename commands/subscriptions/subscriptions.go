package subscriptions

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Commands are the commands that need nothing but the log.
type Commands struct{ commands.Executor }

// Subscription reads a subscription from its stream.
func (c Commands) Subscription(ctx context.Context, id uuid.UUID) (domain.Subscription, error) {
	return commands.Read[domain.Subscription](ctx, c.Store, domain.SubscriptionStream(id))
}

// maxAnswers bounds how often AWS is asked about one subscription whose answers change all the time.
const maxAnswers = 5

// settle decides by what AWS answers. Decide asks AWS, so that the answer is younger than the state that it changes: when
// another node has changed the state meanwhile, the append fails and AWS is asked again. What was recorded is decided once
// more, until nothing is: the answer may have been overtaken by another that found nothing to change.
func (c Commands) settle(
	ctx context.Context, by commands.Origin, id uuid.UUID, decide func(domain.Subscription) ([]domain.Event, error),
) (settled commands.Result[domain.Subscription], err error) {
	for range maxAnswers {
		done, err := commands.Execute(ctx, c.Executor, by, domain.SubscriptionStream(id), decide)
		recorded := done.Position > 0
		if !recorded {
			done.Position = settled.Position
		}
		if settled = done; err != nil || !recorded {
			return settled, err
		}
	}
	return settled, nil
}

// inbox returns what AWS Marketplace told under a name.
func inbox(ctx context.Context, store commands.EventStore, name string) (domain.MarketplaceInbox, error) {
	return commands.Read[domain.MarketplaceInbox](ctx, store, domain.NotificationStream(name))
}

// inboxOf returns what AWS Marketplace told of a licence.
func inboxOf(ctx context.Context, store commands.EventStore, identity domain.MarketplaceIdentity) (domain.MarketplaceInbox, error) {
	return inbox(ctx, store, domain.LicenceID(identity.LicenseARN))
}
