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
}

// EntitlementSyncConfig is what an EntitlementSync is built from. All of it is required but for what says otherwise.
type EntitlementSyncConfig struct {
	commands.Executor
	Catalogue domain.Catalogue
	Log       *slog.Logger

	Source      EntitlementSource
	Directory   SubscriptionDirectory
	Gaps        EntitlementGaps
	Barrier     commands.Barrier
	ProductCode string // of the listing; empty follows all products
	Ended       func() // called after a subscription has ended; may be nil
	// Bound is how many subscriptions one comparison may end.
	Bound domain.EndingBound
	// UnansweredGrace is how long a subscription whose term is over is served while AWS does not answer; 72 h when 0.
	UnansweredGrace time.Duration
	// CompareEvery is how often Run compares all subscriptions with AWS, because a message can be lost; half an hour when 0.
	CompareEvery time.Duration
}

const (
	// DefaultUnansweredGrace lets AWS be away over a weekend.
	DefaultUnansweredGrace = 72 * time.Hour
	defaultCompareEvery    = 30 * time.Minute
	// lookEvery is how often it is looked whether a comparison is due, or the start of a contract has come.
	lookEvery = time.Minute
)

// DefaultEndingBound takes more than a few ends at once for a mistake.
var DefaultEndingBound = domain.EndingBound{Subscriptions: 3, Percent: 1}

// NewEntitlementSync checks the configuration. ReconcileEntitlements and Run are for one goroutine at a time.
func NewEntitlementSync(config EntitlementSyncConfig) (*EntitlementSync, error) {
	if config.Store == nil || config.Now == nil || len(config.Catalogue.Plans()) == 0 || config.Log == nil || config.Source == nil ||
		config.Directory == nil || config.Gaps == nil || config.Barrier == nil {
		return nil, errors.New(
			"following agreements needs a store, a clock, a catalogue, a log, a source of entitlements, a directory, a memory of gaps and a barrier")
	}
	if config.UnansweredGrace == 0 {
		config.UnansweredGrace = DefaultUnansweredGrace
	}
	if config.CompareEvery == 0 {
		config.CompareEvery = defaultCompareEvery
	}
	return &EntitlementSync{EntitlementSyncConfig: config}, nil
}

// Run reconciles entitlements and starts scheduled subscriptions on a timer, under the lease, until ctx ends. When a
// comparison was made last is remembered: a worker that is restarted often compares nevertheless.
func (s *EntitlementSync) Run(ctx context.Context, lease commands.Lease) error {
	commands.RunUnderLease(ctx, lease, s.Log, "entitlement comparison", func(ctx context.Context) error {
		next := s.Now().Add(s.CompareEvery)
		if last, err := s.Gaps.LastComparison(ctx); err == nil && !last.IsZero() {
			next = last.Add(s.CompareEvery)
		}
		for commands.Sleep(ctx, min(lookEvery, s.CompareEvery)) == nil {
			if err := s.StartScheduledSubscriptions(ctx); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "a subscription whose contract starts could not be started and will be tried again", "error", err)
			}
			if s.Now().Before(next) {
				continue
			}
			next = s.Now().Add(s.CompareEvery)
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

// errNoAnswer marks that AWS did not say what a licence entitles to.
var errNoAnswer = errors.New("AWS does not answer")

// entitlement returns what AWS says of a subscription's licence.
func (s *EntitlementSync) entitlement(ctx context.Context, sub domain.Subscription) (domain.Entitlement, error) {
	contract, err := s.Source.Entitlements(ctx, sub.Marketplace)
	if err != nil {
		return domain.Entitlement{}, fmt.Errorf("read entitlements: %w: %w", errNoAnswer, err)
	}
	return s.Catalogue.Entitlement(contract)
}

// foreign returns whether a product is not the one of the listing. Nothing is known of what its subscriptions entitle to.
func (s *EntitlementSync) foreign(productCode string) bool {
	return s.ProductCode != "" && productCode != "" && productCode != s.ProductCode
}

// change appends what is decided on the subscription's newest state, and returns whether it has ended.
func (s *EntitlementSync) change(
	ctx context.Context, by commands.Origin, id uuid.UUID, decide func(domain.Subscription) ([]domain.Event, error),
) (ended bool, err error) {
	done, err := Commands{s.Executor}.settle(ctx, by, id, decide)
	ended = done.State.Status == domain.StatusEnded && done.Position > 0
	if ended && s.Ended != nil {
		s.Ended()
	}
	return ended, err
}

func (s *EntitlementSync) subscription(ctx context.Context, id uuid.UUID) (domain.Subscription, error) {
	return Commands{s.Executor}.Subscription(ctx, id)
}
