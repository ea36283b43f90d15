package subscriptions_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// later is a buyer whose contract starts in a week, as AWS has announced, and who has registered before.
func later(t *testing.T) (s *syncedSubscription, startsAt time.Time) {
	t.Helper()
	s = newSyncedSubscription(t)
	startsAt, s.serving = s.now.AddDate(0, 0, 7), nil
	s.announces(t, "agmt-9", startsAt)
	s.contract = nil
	buyer, err := s.registers(t)
	if err != nil || buyer.Subscription.Status != domain.StatusScheduled || !buyer.Subscription.StartsAt.Equal(startsAt) || buyer.Position == 0 {
		t.Fatalf("the buyer is %+v, %v; want one who starts at %s", buyer, err, startsAt)
	}
	s.serving = []uuid.UUID{buyer.Subscription.ID}
	return s, startsAt
}

const laterLicence = "arn:aws:license-manager:us-east-1:294406891311:license:l-later"

func (s *syncedSubscription) registers(t *testing.T) (subscriptions.Buyer, error) {
	t.Helper()
	registration := subscriptions.Registration{
		Commands: subscriptions.Commands{Executor: s.Executor}, Catalogue: domain.DefaultCatalogue(),
		Marketplace: &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "7", LicenseARN: laterLicence}},
	}
	return registration.RegisterBuyer(t.Context(), subscriptions.RegisterBuyer{By: commands.NewOrigin(domain.ActorBuyer), Token: "token"})
}

// announces lets AWS tell of an agreement, or tell anew.
func (s *syncedSubscription) announces(t *testing.T, agreement string, startsAt time.Time) {
	t.Helper()
	if err := s.followNew(t, domain.EntitlementChanged, domain.MarketplaceNotified{
		Type: "Purchase Agreement Amended", AgreementID: agreement, AWSAccountID: "7", StartsAt: startsAt,
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *syncedSubscription) startsWhatIsScheduled(t *testing.T, want ...string) {
	t.Helper()
	if err := s.StartScheduledSubscriptions(t.Context()); err != nil {
		t.Error(err)
	}
	s.wants(t, want...)
}

// The buyer does not come again: the subscription starts by itself when its time has come and AWS lists the entitlement.
func TestScheduledSubscriptionStartsByItself(t *testing.T) {
	t.Parallel()
	s, startsAt := later(t)
	s.startsWhatIsScheduled(t)
	s.now = startsAt.Add(-1)
	asked := 0
	s.asked = func() { asked++ }
	s.startsWhatIsScheduled(t)
	if asked > 0 {
		t.Error("AWS was asked before the time had come")
	}
	s.now = startsAt
	s.startsWhatIsScheduled(t) // AWS does not list it yet
	s.plan("standard", startsAt.AddDate(0, 1, 0))
	s.startsWhatIsScheduled(t, "SubscriptionStarted")
	s.standsAt(t, domain.PlanStandard, domain.StatusActive)
	s.startsWhatIsScheduled(t, "SubscriptionStarted")
	s.failure = errors.New("AWS is down")
	if err := s.StartScheduledSubscriptions(t.Context()); err != nil {
		t.Errorf("AWS is asked about what has started: %v", err)
	}
}

// AWS may tell earlier than the timer looks.
func TestScheduledSubscriptionStartsWithItsMessage(t *testing.T) {
	t.Parallel()
	s, startsAt := later(t)
	s.now = startsAt
	s.plan("standard", startsAt.AddDate(0, 1, 0))
	if err := s.followNew(t, domain.EntitlementChanged, domain.MarketplaceNotified{LicenseID: "l-later", AgreementID: "agmt-9", Type: "License Updated"}); err != nil {
		t.Error(err)
	}
	s.wants(t, "SubscriptionStarted", "AgreementLinked")
}

// An agreement that is amended moves the start; one that is cancelled before it ends it.
func TestScheduledSubscriptionIsMovedAndCancelled(t *testing.T) {
	t.Parallel()
	s, startsAt := later(t)
	s.announces(t, "agmt-9", startsAt)
	s.wants(t)
	s.announces(t, "agmt-9", startsAt.AddDate(0, 0, 7))
	s.wants(t, "SubscriptionScheduled")
	s.now = startsAt.Add(time.Hour)
	s.plan("standard", startsAt.AddDate(0, 1, 0))
	s.startsWhatIsScheduled(t, "SubscriptionScheduled")
	if err := s.followNew(t, domain.LicenceEnded, domain.MarketplaceNotified{LicenseID: "l-later", Type: "License Deprovisioned"}); err != nil {
		t.Error(err)
	}
	s.wants(t, "SubscriptionScheduled", "SubscriptionEnded")
	s.now = startsAt.AddDate(0, 1, 0)
	s.startsWhatIsScheduled(t, "SubscriptionScheduled", "SubscriptionEnded")
}

// A buyer who comes again before the start, or after it, finds what was registered.
func TestBuyerReturnsAroundTheStart(t *testing.T) {
	t.Parallel()
	s, startsAt := later(t)
	buyer, err := s.registers(t)
	if err != nil || buyer.Subscription.Status != domain.StatusScheduled || buyer.Position != 0 {
		t.Errorf("before the start: %+v, %v", buyer, err)
	}
	s.now = startsAt.Add(time.Second)
	if buyer, err = s.registers(t); err != nil || buyer.Subscription.Status != domain.StatusScheduled {
		t.Errorf("at the start, not listed yet: %+v, %v", buyer, err)
	}
	s.plan("starter", startsAt.AddDate(0, 1, 0))
	if buyer, err = s.registers(t); err != nil || buyer.Subscription.Status != domain.StatusActive || buyer.Subscription.Limit != 1000 {
		t.Errorf("after the start: %+v, %v", buyer, err)
	}
	s.contract = nil
	if _, err = s.registers(t); !errors.Is(err, subscriptions.ErrNoEntitlement) {
		t.Errorf("not listed any more: %v", err)
	}
}

// Without an announcement nobody knows when it starts, or whether at all.
func TestBuyerWithoutAContractIsNotScheduled(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.contract = nil
	s.announces(t, "agmt-8", s.now.Add(-24*time.Hour)) // that of another licence
	if _, err := s.registers(t); !errors.Is(err, subscriptions.ErrNoEntitlement) {
		t.Errorf("got %v", err)
	}
}

// A buyer whose browser is faster than AWS is set up as soon as AWS lists what was bought.
func TestBuyerWhomAWSConfirmsLater(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.contract = nil
	s.announces(t, "agmt-9", s.now)
	buyer, err := s.registers(t)
	if err != nil || buyer.Subscription.Status != domain.StatusScheduled {
		t.Fatalf("%+v, %v", buyer, err)
	}
	s.serving = []uuid.UUID{buyer.Subscription.ID}
	s.startsWhatIsScheduled(t)
	s.plan("starter", s.now.AddDate(0, 1, 0))
	s.startsWhatIsScheduled(t, "SubscriptionStarted")
}

// AWS is asked every minute for an hour, and then by the comparison, once it lists the licence.
func TestScheduledSubscriptionThatAWSForgets(t *testing.T) {
	t.Parallel()
	s, startsAt := later(t)
	asked := 0
	s.asked = func() { asked++ }
	s.now = startsAt.Add(time.Hour - 1)
	s.startsWhatIsScheduled(t)
	if asked != 1 {
		t.Errorf("AWS was asked %d times", asked)
	}
	s.now = startsAt.Add(time.Hour)
	s.startsWhatIsScheduled(t)
	s.compare(t, 2)
	if asked != 1 || len(s.gaps.gaps) > 0 {
		t.Errorf("AWS was asked %d times, %v is remembered", asked, s.gaps.gaps)
	}
	s.plan("starter", s.now.AddDate(0, 1, 0))
	s.listed = []subscriptions.LicensedEntitlement{{Identity: domain.MarketplaceIdentity{LicenseARN: laterLicence}, ContractEntitlement: s.contract[0]}}
	s.compare(t, 1)
	s.wants(t, "SubscriptionStarted")
}

// One that cannot be started holds no other.
func TestScheduledSubscriptionsGoOn(t *testing.T) {
	t.Parallel()
	s, startsAt := later(t)
	s.now = startsAt
	s.failure = errors.New("AWS is down")
	if err := s.StartScheduledSubscriptions(t.Context()); !errors.Is(err, s.failure) {
		t.Errorf("got %v", err)
	}
	s.failure = nil
	s.plan("platinum", startsAt)
	if err := s.StartScheduledSubscriptions(t.Context()); !errors.Is(err, &domain.Error{Code: "unknown_plan"}) {
		t.Errorf("got %v", err)
	}
	s.wants(t)
}
