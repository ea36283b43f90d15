package subscriptions

import (
	"context"

	"github.com/google/uuid"
)

// RereadEntitlement compares one subscription with what AWS says of its licence, and ends nothing.
func (s *EntitlementSync) RereadEntitlement(ctx context.Context, id uuid.UUID) error {
	sub, err := s.subscription(ctx, id)
	if err != nil || !sub.Serves() || s.foreign(sub.Marketplace.ProductCode) {
		return err
	}
	listed, err := s.follows(ctx, id)
	if err == nil && listed.None() {
		s.Log.WarnContext(ctx, "AWS lists no entitlement of a subscription that is served", "subscription", id)
	}
	return err
}
