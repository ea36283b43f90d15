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

// knownAgreement returns the agreement that messages have named for a licence, which registration does not; "" when none
// has.
func knownAgreement(ctx context.Context, store commands.EventStore, licenseARN string) (string, error) {
	messages, err := commands.Read[domain.MarketplaceInbox](ctx, store, domain.NotificationStream(domain.LicenceID(licenseARN)))
	return messages.AgreementID, err
}
