package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// startingFor is how long after the start that was announced AWS is asked every time; later on the comparison asks.
const startingFor = time.Hour

// StartScheduledSubscriptions starts every subscription whose contract has started by what was announced, as soon as AWS
// lists its entitlement. A message may tell earlier; its buyer need not come again.
func (s *EntitlementSync) StartScheduledSubscriptions(ctx context.Context) error {
	scheduled, err := s.Directory.Scheduled(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range scheduled {
		sub, err := s.subscription(ctx, id)
		if err == nil && !sub.DueToStart(s.Now().Add(-startingFor)) {
			err = s.startScheduled(ctx, id)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("start subscription %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (s *EntitlementSync) startScheduled(ctx context.Context, id uuid.UUID) error {
	_, err := s.change(ctx, commands.NewOrigin(domain.ActorSystem), id, func(sub domain.Subscription) ([]domain.Event, error) {
		if !sub.DueToStart(s.Now()) || s.foreign(sub.Marketplace.ProductCode) {
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
