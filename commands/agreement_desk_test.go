package commands_test

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
	"github.com/pas-ta/liveness/domain"
)

// marketplaceDesk is a desk whose AWS says what a test wants.
type marketplaceDesk struct {
	*commands.AgreementDesk
	app      *commands.Application
	store    *memorystore.Store
	now      time.Time
	contract []commands.ContractEntitlement
	failure  error
	serving  []uuid.UUID
	ended    int
}

const deskLicence = "arn:aws:license-manager:us-east-1:294406891311:license:l-desk"

// Entitlements implements commands.EntitlementSource.
func (d *marketplaceDesk) Entitlements(context.Context, domain.MarketplaceIdentity) ([]commands.ContractEntitlement, error) {
	return d.contract, d.failure
}

// AllEntitlements implements commands.EntitlementSource.
func (d *marketplaceDesk) AllEntitlements(context.Context) ([]commands.LicensedEntitlement, error) {
	return nil, d.failure
}

// ByAgreement implements commands.SubscriptionDirectory.
func (d *marketplaceDesk) ByAgreement(context.Context, string) ([]uuid.UUID, error) { return nil, nil }

// ByAWSAccount implements commands.SubscriptionDirectory.
func (d *marketplaceDesk) ByAWSAccount(context.Context, string) ([]uuid.UUID, error) {
	return d.serving, nil
}

// ByCustomerIdentifier implements commands.SubscriptionDirectory.
func (d *marketplaceDesk) ByCustomerIdentifier(context.Context, string) ([]uuid.UUID, error) {
	return nil, nil
}

// Serving implements commands.SubscriptionDirectory.
func (d *marketplaceDesk) Serving(context.Context) ([]uuid.UUID, error) { return d.serving, nil }

// noDeskVault and noDeskBarrier stand where these commands seal nothing and wait for nothing.
type noDeskVault struct{ commands.Vault }

type noDeskBarrier struct{ commands.Barrier }

func newMarketplaceDesk(t *testing.T) *marketplaceDesk {
	t.Helper()
	d := &marketplaceDesk{
		now:      time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC),
		contract: []commands.ContractEntitlement{{Dimension: "starter", Quantity: 1, ExpiresAt: time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)}},
	}
	clock := func() time.Time { return d.now }
	d.store = memorystore.New(clock)
	var err error
	d.app, err = commands.New(commands.Config{
		Store: d.store, Vault: noDeskVault{}, Barrier: noDeskBarrier{}, Catalogue: domain.DefaultCatalogue(), Secret: make([]byte, 32), Now: clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.AgreementDesk = commands.NewAgreementDesk(d.app, d, d, "", func() { d.ended++ })
	standing, err := d.app.StartSubscription(t.Context(), commands.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: deskLicence, AgreementID: "agmt-1"},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: d.contract[0].ExpiresAt},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.serving = []uuid.UUID{standing.Subscription.ID}
	return d
}

func (d *marketplaceDesk) tell(t *testing.T, kind commands.MarketplaceEventKind, message domain.MarketplaceNotified) error {
	t.Helper()
	message.NotificationID, message.HappenedAt = uuid.NewString(), d.now
	return d.follow(t, kind, message)
}

func (d *marketplaceDesk) follow(t *testing.T, kind commands.MarketplaceEventKind, message domain.MarketplaceNotified) error {
	t.Helper()
	return d.FollowMarketplaceEvent(t.Context(), commands.FollowMarketplaceEvent{By: commands.NewOrigin(domain.ActorMarketplace), Kind: kind, Message: message})
}

// wants fails unless the subscription went through exactly these events after its start.
func (d *marketplaceDesk) wants(t *testing.T, want ...string) {
	t.Helper()
	page, err := d.store.Read(t.Context(), domain.SubscriptionStream(d.serving[0]), 1, 100)
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

var ofLicence = domain.MarketplaceNotified{LicenseID: "l-desk", Type: "License Deprovisioned"}

func TestEndThatAWSContradictsWaits(t *testing.T) {
	t.Parallel()
	d := newMarketplaceDesk(t)
	message := ofLicence
	message.NotificationID, message.HappenedAt = "n-1", d.now
	if err := d.follow(t, commands.LicenseEnded, message); err == nil {
		t.Error("the message is done with while AWS still lists the entitlement")
	}
	d.wants(t, "UnsubscribeRequested")
	d.contract = nil
	d.now = d.now.Add(time.Minute)
	if err := d.follow(t, commands.LicenseEnded, message); err != nil {
		t.Error(err)
	}
	d.wants(t, "UnsubscribeRequested", "SubscriptionEnded")
	if d.ended != 1 {
		t.Errorf("metering was told of %d ends", d.ended)
	}
}

func TestBuyerWhoComesBackIsServed(t *testing.T) {
	t.Parallel()
	d := newMarketplaceDesk(t)
	message := ofLicence
	message.NotificationID, message.HappenedAt = "n-1", d.now
	if err := d.follow(t, commands.LicenseEnded, message); err == nil {
		t.Error("the message is done with at once")
	}
	d.now = d.now.Add(20 * time.Minute)
	if err := d.follow(t, commands.LicenseEnded, message); err != nil {
		t.Error(err)
	}
	d.wants(t, "UnsubscribeRequested", "SubscriptionRenewed")
}

func TestAnotherAgreementsEndEndsNothing(t *testing.T) {
	t.Parallel()
	d := newMarketplaceDesk(t)
	d.contract = nil // AWS may be of two minds for a moment
	if err := d.tell(t, commands.AgreementEnding, domain.MarketplaceNotified{AgreementID: "agmt-0", AWSAccountID: "1", AgreementStatus: "CANCELLED"}); err != nil {
		t.Error(err)
	}
	d.wants(t)
	if err := d.tell(t, commands.AgreementEnding, domain.MarketplaceNotified{AgreementID: "agmt-1", AWSAccountID: "1", AgreementStatus: "CANCELLED"}); err != nil {
		t.Error(err)
	}
	d.wants(t, "SubscriptionEnded")
}

func TestEmptyAnswerAloneEndsNothing(t *testing.T) {
	t.Parallel()
	d := newMarketplaceDesk(t)
	contract := d.contract
	for _, answer := range [][]commands.ContractEntitlement{nil, contract, nil} {
		d.contract = answer
		if err := d.ReconcileEntitlements(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.wants(t)
	if err := d.ReconcileEntitlements(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "SubscriptionEnded")
}

func TestMessageIsKeptBeforeAWSIsAsked(t *testing.T) {
	t.Parallel()
	d := newMarketplaceDesk(t)
	d.failure = errors.New("AWS is down")
	for range 2 {
		if err := d.follow(t, commands.EntitlementChanged, domain.MarketplaceNotified{NotificationID: "n-1", LicenseID: "l-desk", Type: "License Updated"}); !errors.Is(err, d.failure) {
			t.Errorf("the message is done with: %v", err)
		}
	}
	kept, err := d.store.Read(t.Context(), domain.NotificationStream("l-desk"), 0, 10)
	if err != nil || len(kept) != 1 {
		t.Errorf("the message is kept %d times, %v", len(kept), err)
	}
}
