package subscriptions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ReconcileEntitlements compares every subscription with what AWS says of its licence, because a message can be lost. It
// goes on after a failure and gives all of them together.
func (s *EntitlementSync) ReconcileEntitlements(ctx context.Context) error {
	listed, err := s.Source.AllEntitlements(ctx)
	if err != nil {
		return fmt.Errorf("read all entitlements: %w", err)
	}
	contracts := map[uuid.UUID][]domain.ContractEntitlement{}
	for _, e := range listed {
		id := domain.SubscriptionIDForLicence(e.Identity.LicenseARN)
		contracts[id] = append(contracts[id], e.ContractEntitlement)
	}
	serving, err := s.Directory.Serving(ctx)
	if err != nil {
		return err
	}
	missing := map[uuid.UUID]int{}
	var errs []error
	for _, id := range serving {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		found, err := s.reconcile(ctx, id, contracts[id])
		if err != nil {
			errs = append(errs, fmt.Errorf("reconcile subscription %s: %w", id, err))
		}
		if !found {
			missing[id] = s.missing[id] + 1
		}
	}
	s.missing = missing
	return errors.Join(errs...)
}

// RereadEntitlement compares one subscription with what AWS says of its licence, and ends nothing.
func (s *EntitlementSync) RereadEntitlement(ctx context.Context, id uuid.UUID) error {
	subscription, err := s.subscription(ctx, id)
	if err != nil || !subscription.Serves() {
		return err
	}
	listed, err := s.entitlement(ctx, subscription)
	if err != nil {
		return err
	}
	if listed.None() {
		s.Log.WarnContext(ctx, "AWS lists no entitlement of a subscription that is served", "subscription", id)
	}
	return s.followListing(ctx, id, listed, 0)
}

// reconcile brings one subscription up to a listed contract. It reports false when AWS lists none, also when asked for the
// licence by itself.
func (s *EntitlementSync) reconcile(ctx context.Context, id uuid.UUID, contract []domain.ContractEntitlement) (found bool, err error) {
	subscription, err := s.subscription(ctx, id)
	if err != nil || !subscription.Serves() {
		return true, err
	}
	listed, err := s.Catalogue.Entitlement(contract)
	if err == nil && listed.None() {
		listed, err = s.entitlement(ctx, subscription)
	}
	if err != nil {
		return true, err
	}
	return !listed.None(), s.followListing(ctx, id, listed, s.missing[id])
}

func (s *EntitlementSync) followListing(ctx context.Context, id uuid.UUID, listed domain.Entitlement, missing int) error {
	ended, err := s.change(ctx, commands.NewOrigin(domain.ActorSystem), id, func(sub domain.Subscription) []domain.Event {
		return sub.FollowListing(listed, missing, s.Now())
	})
	if ended {
		s.Log.WarnContext(ctx, "a subscription ends because AWS lists no entitlement of it; no message has told", "subscription", id)
	}
	return err
}
