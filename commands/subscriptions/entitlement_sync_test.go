package subscriptions_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// syncedSubscription is one subscription whose AWS says what a test wants.
type syncedSubscription struct {
	*subscriptions.EntitlementSync
	store    *memorystore.Store
	now      time.Time
	contract []domain.ContractEntitlement
	failure  error
	asked    func() // called before AWS answers; may be nil
	serving  []uuid.UUID
	ended    int
}

const testLicence = "arn:aws:license-manager:us-east-1:294406891311:license:l-synced"

// Entitlements implements subscriptions.EntitlementSource.
func (s *syncedSubscription) Entitlements(context.Context, domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	if s.asked != nil {
		s.asked()
	}
	return s.contract, s.failure
}

// AllEntitlements implements subscriptions.EntitlementSource.
func (s *syncedSubscription) AllEntitlements(context.Context) ([]subscriptions.LicencedEntitlement, error) {
	return nil, s.failure
}

// ByAgreement implements subscriptions.SubscriptionDirectory.
func (s *syncedSubscription) ByAgreement(context.Context, string) ([]uuid.UUID, error) {
	return nil, nil
}

// ByAWSAccount implements subscriptions.SubscriptionDirectory.
func (s *syncedSubscription) ByAWSAccount(context.Context, string) ([]uuid.UUID, error) {
	return s.serving, nil
}

// ByCustomerIdentifier implements subscriptions.SubscriptionDirectory.
func (s *syncedSubscription) ByCustomerIdentifier(context.Context, string) ([]uuid.UUID, error) {
	return nil, nil
}

// Serving implements subscriptions.SubscriptionDirectory.
func (s *syncedSubscription) Serving(context.Context) ([]uuid.UUID, error) { return s.serving, nil }

func newSyncedSubscription(t *testing.T) *syncedSubscription {
	t.Helper()
	s := &syncedSubscription{
		now:      time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC),
		contract: []domain.ContractEntitlement{{Dimension: "starter", Quantity: 1, ExpiresAt: time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)}},
	}
	clock := func() time.Time { return s.now }
	s.store = memorystore.New(clock)
	executor := commands.Executor{Store: s.store, Now: clock}
	var err error
	s.EntitlementSync, err = subscriptions.NewEntitlementSync(subscriptions.EntitlementSyncConfig{
		Executor: executor, Catalogue: domain.DefaultCatalogue(), Log: slog.New(slog.DiscardHandler), Source: s, Directory: s, Ended: func() { s.ended++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	started, err := subscriptions.Commands{Executor: executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence, AgreementID: "agmt-1"},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: s.contract[0].ExpiresAt},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.serving = []uuid.UUID{started.State.ID}
	return s
}

func (s *syncedSubscription) followNew(t *testing.T, kind domain.MarketplaceEventKind, message domain.MarketplaceNotified) error {
	t.Helper()
	message.NotificationID, message.HappenedAt = uuid.NewString(), s.now
	return s.follow(t, kind, message)
}

func (s *syncedSubscription) follow(t *testing.T, kind domain.MarketplaceEventKind, message domain.MarketplaceNotified) error {
	t.Helper()
	return s.FollowMarketplaceEvent(t.Context(), subscriptions.FollowMarketplaceEvent{
		By: commands.NewOrigin(domain.ActorMarketplace), MarketplaceEvent: domain.MarketplaceEvent{Kind: kind, Message: message},
	})
}

// wants fails unless the subscription went through exactly these events after its start.
func (s *syncedSubscription) wants(t *testing.T, want ...string) {
	t.Helper()
	page, err := s.store.Read(t.Context(), domain.SubscriptionStream(s.serving[0]), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range page {
		got = append(got, r.Event.EventType())
	}
	if !slices.Equal(want, got) {
		t.Errorf("the subscription went through %v, want %v", got, want)
	}
}

var ofLicence = domain.MarketplaceNotified{LicenseID: "l-synced", Type: "License Deprovisioned"}

func TestEndThatAWSContradictsWaits(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	message := ofLicence
	message.NotificationID, message.HappenedAt = "n-1", s.now
	if err := s.follow(t, domain.LicenceEnded, message); err == nil {
		t.Error("the message is done with while AWS still lists the entitlement")
	}
	s.wants(t, "UnsubscribeRequested")
	s.contract = nil
	s.now = s.now.Add(time.Minute)
	if err := s.follow(t, domain.LicenceEnded, message); err != nil {
		t.Error(err)
	}
	s.wants(t, "UnsubscribeRequested", "SubscriptionEnded")
	if s.ended != 1 {
		t.Errorf("metering was told of %d ends", s.ended)
	}
}

func TestBuyerWhoComesBackIsServed(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	message := ofLicence
	message.NotificationID, message.HappenedAt = "n-1", s.now
	if err := s.follow(t, domain.LicenceEnded, message); err == nil {
		t.Error("the message is done with at once")
	}
	s.now = s.now.Add(20 * time.Minute)
	if err := s.follow(t, domain.LicenceEnded, message); err != nil {
		t.Error(err)
	}
	s.wants(t, "UnsubscribeRequested", "SubscriptionRenewed")
}

func TestAnotherAgreementsEndEndsNothing(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.contract = nil // AWS may be of two minds for a moment
	if err := s.followNew(t, domain.AgreementEnding, domain.MarketplaceNotified{AgreementID: "agmt-0", AWSAccountID: "1", AgreementStatus: "CANCELLED"}); err != nil {
		t.Error(err)
	}
	s.wants(t)
	if err := s.followNew(t, domain.AgreementEnding, domain.MarketplaceNotified{AgreementID: "agmt-1", AWSAccountID: "1", AgreementStatus: "CANCELLED"}); err != nil {
		t.Error(err)
	}
	s.wants(t, "SubscriptionEnded")
}

func TestEmptyAnswerAloneEndsNothing(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	contract := s.contract
	for _, answer := range [][]domain.ContractEntitlement{nil, contract, nil} {
		s.contract = answer
		if err := s.ReconcileEntitlements(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.wants(t)
	if err := s.ReconcileEntitlements(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(t, "SubscriptionEnded")
}

// What AWS answers is decided on the state that the events are appended to: an end that was announced while it was asked
// is not taken back by the same term.
func TestEndAnnouncedMeanwhileStands(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.asked = func() {
		if _, err := s.store.Append(t.Context(), domain.SubscriptionStream(s.serving[0]), 0, []commands.Proposed{
			{ID: uuid.New(), Event: domain.UnsubscribeRequested{SubscriptionID: s.serving[0], RequestedAt: s.now}},
		}); err != nil {
			t.Error(err)
		}
	}
	if err := s.ReconcileEntitlements(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(t, "UnsubscribeRequested")
}

func TestMessageIsKeptBeforeAWSIsAsked(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.failure = errors.New("AWS is down")
	for range 2 {
		if err := s.follow(t, domain.EntitlementChanged, domain.MarketplaceNotified{NotificationID: "n-1", LicenseID: "l-synced", Type: "License Updated"}); !errors.Is(err, s.failure) {
			t.Errorf("the message is done with: %v", err)
		}
	}
	kept, err := s.store.Read(t.Context(), domain.NotificationStream("l-synced"), 0, 10)
	if err != nil || len(kept) != 1 {
		t.Errorf("the message is kept %d times, %v", len(kept), err)
	}
}
