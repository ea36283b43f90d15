package subscriptions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// endAfterMissing is how many times in a row a licence must be without entitlement before its subscription ends without
// a message: an end is final, and one empty answer may be AWS's mistake.
const endAfterMissing = 2

// ReconcileEntitlements compares every subscription with what AWS says of its licence, because a message can be lost. It
// goes on after a failure and gives all of them together.
func (s *EntitlementSync) ReconcileEntitlements(ctx context.Context) error {
	listed, err := s.Source.AllEntitlements(ctx)
	if err != nil {
		return fmt.Errorf("read all entitlements: %w", err)
	}
	contracts := map[uuid.UUID][]ContractEntitlement{}
	for _, e := range listed {
		id := domain.SubscriptionIDForLicense(e.Identity.LicenseARN)
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
	entitled, err := s.entitlement(ctx, subscription)
	if errors.Is(err, ErrNoEntitlement) {
		s.Log.WarnContext(ctx, "AWS lists no entitlement of a subscription that is served", "subscription", id)
		return nil
	}
	if err != nil {
		return err
	}
	return s.take(ctx, subscription, entitled)
}

// reconcile brings one subscription up to a listed contract. It reports false when AWS lists none; the licence is then
// asked for by itself, and the second time in a row the subscription ends.
func (s *EntitlementSync) reconcile(ctx context.Context, id uuid.UUID, contract []ContractEntitlement) (found bool, err error) {
	subscription, err := s.subscription(ctx, id)
	if err != nil || !subscription.Serves() {
		return true, err
	}
	entitled, err := EntitlementOf(s.Catalogue, contract)
	if errors.Is(err, ErrNoEntitlement) {
		entitled, err = s.entitlement(ctx, subscription)
	}
	if errors.Is(err, ErrNoEntitlement) {
		if s.missing[id]+1 < endAfterMissing {
			return false, nil
		}
		s.Log.WarnContext(ctx, "a subscription ends because AWS lists no entitlement of it; no message has told", "subscription", id)
		return false, s.end(ctx, commands.NewOrigin(domain.ActorSystem), id, "no entitlement", endedAt(subscription.ExpiresAt, s.Now()))
	}
	if err != nil {
		return true, err
	}
	return true, s.take(ctx, subscription, entitled)
}

// take follows an entitlement. A subscription whose end is announced goes on only with a later term: the entitlement may
// merely not have gone yet.
func (s *EntitlementSync) take(ctx context.Context, subscription domain.Subscription, entitled domain.Entitlement) error {
	if subscription.Status == domain.StatusEnding && !entitled.ExpiresAt.After(subscription.ExpiresAt) {
		return nil
	}
	now := s.Now()
	return s.change(ctx, commands.NewOrigin(domain.ActorSystem), subscription.ID, func(sub domain.Subscription) []domain.Event {
		return sub.FollowEntitlement(entitled, now)
	})
}
