package subscriptions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// StartScheduledSubscriptions starts every subscription whose contract has started by what was announced, as soon as AWS
// lists its entitlement. A message may tell earlier; its buyer need not come again.
func (s *EntitlementSync) StartScheduledSubscriptions(ctx context.Context) error {
	scheduled, err := s.Directory.Scheduled(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range scheduled {
		if err := s.startScheduled(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("start subscription %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (s *EntitlementSync) startScheduled(ctx context.Context, id uuid.UUID) error {
	_, err := s.change(ctx, commands.NewOrigin(domain.ActorSystem), id, func(sub domain.Subscription) ([]domain.Event, error) {
		if sub.Status != domain.StatusScheduled || s.Now().Before(sub.StartsAt) || s.foreign(sub.Marketplace.ProductCode) {
			return nil, nil
		}
		entitled, err := s.entitlement(ctx, sub)
		if err != nil || entitled.None() {
			return nil, err
		}
		return sub.Start(sub.Marketplace, entitled, s.Now()), nil
	})
	return err
}
