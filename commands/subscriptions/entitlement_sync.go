package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// EntitlementSync follows the life of agreements. A message, and the passing of time, are reasons to read the entitlement
// from AWS, which alone says what holds: so it does not matter how often, in which order or how late messages arrive.
type EntitlementSync struct {
	EntitlementSyncConfig

	missing map[uuid.UUID]int // how often in a row ReconcileEntitlements found no entitlement
}

// EntitlementSyncConfig is what an EntitlementSync is built from. All of it is required but for what says otherwise.
type EntitlementSyncConfig struct {
	commands.Executor
	Catalogue domain.Catalogue
	Log       *slog.Logger

	Source      EntitlementSource
	Directory   SubscriptionDirectory
	ProductCode string // of the listing; empty follows all products
	Ended       func() // called after a subscription has ended; may be nil
}

// NewEntitlementSync checks the configuration. ReconcileEntitlements and Run are for one goroutine at a time.
func NewEntitlementSync(config EntitlementSyncConfig) (*EntitlementSync, error) {
	if config.Store == nil || config.Now == nil || len(config.Catalogue.Plans()) == 0 || config.Log == nil || config.Source == nil || config.Directory == nil {
		return nil, errors.New("following agreements needs a store, a clock, a catalogue, a log, a source of entitlements and a directory")
	}
	return &EntitlementSync{EntitlementSyncConfig: config, missing: map[uuid.UUID]int{}}, nil
}

// reconcileEvery is how often all subscriptions are compared with AWS, because a message can be lost.
const reconcileEvery = 30 * time.Minute

// Run reconciles entitlements on a timer, under the lease, until ctx ends.
func (s *EntitlementSync) Run(ctx context.Context, lease commands.Lease) error {
	commands.RunUnderLease(ctx, lease, s.Log, "entitlement comparison", func(ctx context.Context) error {
		for commands.Sleep(ctx, reconcileEvery) == nil {
			if err := s.ReconcileEntitlements(ctx); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "entitlements could not be compared with AWS", "error", err)
			}
		}
		return context.Cause(ctx)
	})
	return nil
}

// Receive follows a message of the queue: it may be deleted after nil, and must come again after an error.
func (s *EntitlementSync) Receive(ctx context.Context, event domain.MarketplaceEvent) error {
	if err := s.FollowMarketplaceEvent(ctx, FollowMarketplaceEvent{By: commands.NewOrigin(domain.ActorMarketplace), MarketplaceEvent: event}); err != nil {
		return err
	}
	m := event.Message
	s.Log.InfoContext(ctx, "marketplace message", "type", m.Type, "agreement", m.AgreementID, "license", m.LicenseID, "status", m.AgreementStatus)
	return nil
}

// entitlement returns what AWS says of a subscription's licence.
func (s *EntitlementSync) entitlement(ctx context.Context, sub domain.Subscription) (domain.Entitlement, error) {
	contract, err := s.Source.Entitlements(ctx, sub.Marketplace)
	if err != nil {
		return domain.Entitlement{}, fmt.Errorf("read entitlements: %w", err)
	}
	return s.Catalogue.Entitlement(contract)
}

// change appends what is decided on the subscription's newest state, and returns whether it has ended.
func (s *EntitlementSync) change(ctx context.Context, by commands.Origin, id uuid.UUID, decide func(domain.Subscription) []domain.Event) (ended bool, err error) {
	done, err := commands.Execute(ctx, s.Executor, by, domain.SubscriptionStream(id), func(sub domain.Subscription) ([]domain.Event, error) {
		return decide(sub), nil
	})
	if err != nil || done.State.Status != domain.StatusEnded {
		return false, err
	}
	if s.Ended != nil {
		s.Ended()
	}
	return true, nil
}

func (s *EntitlementSync) subscription(ctx context.Context, id uuid.UUID) (domain.Subscription, error) {
	return Commands{s.Executor}.Subscription(ctx, id)
}
