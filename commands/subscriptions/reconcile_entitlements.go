package subscriptions

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// comparison is one round over all subscriptions.
type comparison struct {
	contracts map[uuid.UUID][]domain.ContractEntitlement // as AWS lists them
	unlisted  error                                      // why AWS gave no list
	gaps      map[uuid.UUID]domain.EntitlementGap        // of the subscriptions compared so far
	ending    []domain.Subscription                      // what would end
	compared  int
	foreign   int // subscriptions of another product
}

// ReconcileEntitlements compares every subscription with what AWS says of its licence, because a message can be lost. It
// goes on after a failure and gives all of them together. What AWS lists of all licences is only a hint: whatever would change a
// subscription is decided by asking for its licence alone.
func (s *EntitlementSync) ReconcileEntitlements(ctx context.Context) error {
	before, err := s.Gaps.Gaps(ctx)
	if err != nil {
		return err
	}
	serving, err := s.Directory.Serving(ctx)
	if err != nil {
		return err
	}
	c := &comparison{gaps: map[uuid.UUID]domain.EntitlementGap{}}
	c.contracts, c.unlisted = s.listed(ctx)
	errs := []error{c.unlisted}
	for _, id := range serving {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.compare(ctx, c, id, before[id]); err != nil {
			errs = append(errs, fmt.Errorf("reconcile subscription %s: %w", id, err))
		}
	}
	if c.foreign > 0 {
		s.Log.WarnContext(ctx, "subscriptions of another product are left alone", "subscriptions", c.foreign, "product_code", s.ProductCode)
	}
	errs = append(errs, s.endAll(ctx, c), s.Gaps.Remember(ctx, c.gaps, c.problem(), s.Now()), s.alertListedAfterEnd(ctx, c, serving))
	return errors.Join(errs...)
}

// problem returns what keeps the comparison as a whole from saying anything, "" for nothing. What AWS answers may name accounts:
// it is in the log, not here.
func (c *comparison) problem() string {
	switch {
	case c.foreign > 0 && c.compared == 0:
		return fmt.Sprintf("none of %d subscriptions is of the product code that is configured, and none is compared with AWS", c.foreign)
	case c.unlisted != nil:
		return "AWS does not list the entitlements of the product: look at its code, the Region and the permissions"
	}
	return ""
}

// listed returns what AWS lists of all licences of the product.
func (s *EntitlementSync) listed(ctx context.Context) (map[uuid.UUID][]domain.ContractEntitlement, error) {
	all, err := s.Source.AllEntitlements(ctx)
	if err != nil {
		return nil, fmt.Errorf("read all entitlements: %w", err)
	}
	contracts := map[uuid.UUID][]domain.ContractEntitlement{}
	for _, e := range all {
		id := domain.SubscriptionIDForLicence(e.Identity.LicenseARN)
		contracts[id] = append(contracts[id], e.ContractEntitlement)
	}
	return contracts, nil
}

// compare brings one subscription up to what AWS says, but ends nothing: it notes what would end.
func (s *EntitlementSync) compare(ctx context.Context, c *comparison, id uuid.UUID, gap domain.EntitlementGap) error {
	sub, err := s.subscription(ctx, id)
	switch {
	case err == nil && sub.DueToStart(s.Now()) && len(c.contracts[id]) > 0:
		return s.startScheduled(ctx, id)
	case err != nil || !sub.Serves():
		return err
	case s.foreign(sub.Marketplace.ProductCode):
		c.foreign++
		return nil
	}
	c.compared++
	if c.unlisted == nil {
		listed, err := s.Catalogue.Entitlement(c.contracts[id])
		if err != nil {
			return err
		}
		if listed.None() || len(sub.FollowListing(listed, 0, s.Now())) > 0 {
			listed, err = s.follows(ctx, id)
		}
		switch {
		case err == nil && !listed.None():
			return nil
		case err == nil:
			if gap = gap.Miss(s.Now()); gap.Missing > 1 {
				c.ending = append(c.ending, sub)
			}
			c.gaps[id] = gap
			return nil
		case !errors.Is(err, errNoAnswer):
			return err
		}
		c.silent(sub, gap.Silence(s.Now()), s)
		return err
	}
	c.silent(sub, gap.Silence(s.Now()), s)
	return nil
}

// silent notes a subscription that AWS does not answer about.
func (c *comparison) silent(sub domain.Subscription, gap domain.EntitlementGap, s *EntitlementSync) {
	c.gaps[sub.ID] = gap
	if len(sub.EndUnanswered(gap.SilentSince, s.UnansweredGrace, s.Now())) > 0 {
		c.ending = append(c.ending, sub)
	}
}

// follows asks AWS for one licence and follows the answer, which ends nothing.
func (s *EntitlementSync) follows(ctx context.Context, id uuid.UUID) (listed domain.Entitlement, err error) {
	_, err = s.change(ctx, commands.NewOrigin(domain.ActorSystem), id, func(sub domain.Subscription) (events []domain.Event, err error) {
		if !sub.Serves() {
			return nil, nil
		}
		if listed, err = s.entitlement(ctx, sub); err != nil {
			return nil, err
		}
		return sub.FollowListing(listed, 0, s.Now()), nil
	})
	return listed, err
}

// endAll ends what a comparison found to have ended, unless that is too much to be true.
func (s *EntitlementSync) endAll(ctx context.Context, c *comparison) error {
	if s.Bound.Exceeded(len(c.ending), c.compared) {
		var licences []string
		for _, sub := range c.ending {
			gap := c.gaps[sub.ID]
			gap.Withheld = true
			c.gaps[sub.ID] = gap
			licences = append(licences, domain.LicenceID(sub.Marketplace.LicenseARN))
		}
		s.Log.ErrorContext(ctx, "too many subscriptions would end because AWS lists no entitlement of them: none is ended",
			"ending", len(c.ending), "compared", c.compared, "licences", licences)
		return nil
	}
	var errs []error
	for _, sub := range c.ending {
		if err := s.end(ctx, sub.ID, c.gaps[sub.ID]); err != nil {
			errs = append(errs, fmt.Errorf("end subscription %s: %w", sub.ID, err))
		}
	}
	return errors.Join(errs...)
}

// end ends one subscription unless AWS, asked once more, lists an entitlement of it.
func (s *EntitlementSync) end(ctx context.Context, id uuid.UUID, gap domain.EntitlementGap) error {
	ended, err := s.change(ctx, commands.NewOrigin(domain.ActorSystem), id, func(sub domain.Subscription) ([]domain.Event, error) {
		if !sub.Serves() {
			return nil, nil
		}
		listed, err := s.entitlement(ctx, sub)
		if errors.Is(err, errNoAnswer) {
			return sub.EndUnanswered(gap.SilentSince, s.UnansweredGrace, s.Now()), nil
		}
		if err != nil {
			return nil, err
		}
		return sub.FollowListing(listed, max(gap.Missing-1, 0), s.Now()), nil
	})
	if ended {
		s.Log.ErrorContext(ctx, "a subscription ends because AWS lists no entitlement of it or does not answer; no message has told",
			"subscription", id, "missing", gap.Missing, "silent_since", gap.SilentSince)
	}
	return err
}

// alertListedAfterEnd tells of subscriptions that have ended and that AWS lists: one of both is wrong.
func (s *EntitlementSync) alertListedAfterEnd(ctx context.Context, c *comparison, serving []uuid.UUID) error {
	known := make(map[uuid.UUID]bool, len(serving))
	for _, id := range serving {
		known[id] = true
	}
	var errs []error
	for id := range c.contracts {
		if known[id] {
			continue
		}
		sub, err := s.subscription(ctx, id)
		if err != nil {
			errs = append(errs, err)
		} else if sub.ListedAfterEnd(s.Now()) {
			s.Log.ErrorContext(ctx, "AWS lists an entitlement of a subscription that has ended; `liveness subscription reinstate` lets it go on",
				"subscription", id, "ended_at", sub.EndedAt)
		}
	}
	return errors.Join(errs...)
}
