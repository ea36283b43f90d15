package subscriptions_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

var updated = domain.MarketplaceNotified{LicenseID: "l-synced", AgreementID: "agmt-1", Type: "License Updated"}

// plan makes AWS list a plan from now on.
func (s *syncedSubscription) plan(dimension string, term time.Time) {
	s.contract = []domain.ContractEntitlement{{Dimension: dimension, Quantity: 1, ExpiresAt: term}}
}

// meanwhile does something once while AWS answers: the answer is the one from before.
func (s *syncedSubscription) meanwhile(do func()) {
	asked := s.asked
	s.asked = func() {
		s.asked = asked
		do()
	}
}

// standsAt fails unless the subscription has a plan and a status in the end.
func (s *syncedSubscription) standsAt(t *testing.T, plan domain.PlanID, status domain.SubscriptionStatus) {
	t.Helper()
	got, err := subscriptions.Commands{Executor: s.Executor}.Subscription(t.Context(), s.serving[0])
	if err != nil || got.Plan != plan || got.Status != status {
		t.Errorf("the subscription is %s on %s, %v; want %s on %s", got.Status, got.Plan, err, status, plan)
	}
}

func (s *syncedSubscription) happens(t *testing.T, event domain.Event) {
	t.Helper()
	stream := domain.SubscriptionStream(s.serving[0])
	last, _, err := s.store.ReadLast(t.Context(), stream)
	if err == nil {
		_, err = s.store.Append(t.Context(), stream, int64(last.Revision), []commands.Proposed{{ID: uuid.New(), Event: event}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The comparison reads the list of all licences, a message changes the plan, and then the comparison comes to the licence:
// the list is older than the plan.
func TestStaleListDoesNotUndoAnUpgrade(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.listed = []subscriptions.LicensedEntitlement{{
		Identity: domain.MarketplaceIdentity{LicenseARN: testLicence}, ContractEntitlement: domain.ContractEntitlement{Dimension: "starter", Quantity: 1},
	}}
	s.plan("standard", s.contract[0].ExpiresAt)
	if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
		t.Fatal(err)
	}
	if err := s.ReconcileEntitlements(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.standsAt(t, domain.PlanStandard, domain.StatusActive)
}

// Whoever asks AWS while another node follows a newer answer does not change that back: whether it follows a message, compares,
// rereads or receives the buyer.
func TestStaleAnswerDoesNotUndoAnUpgrade(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(*testing.T, *syncedSubscription) error{
		"two consumers": func(t *testing.T, s *syncedSubscription) error {
			return s.followNew(t, domain.EntitlementChanged, updated)
		},
		"comparison": func(t *testing.T, s *syncedSubscription) error { return s.ReconcileEntitlements(t.Context()) },
		"reread":     func(t *testing.T, s *syncedSubscription) error { return s.RereadEntitlement(t.Context(), s.serving[0]) },
		"a buyer who returns": func(t *testing.T, s *syncedSubscription) error {
			_, err := register(t, s.store, &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence}}, "", "token")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSyncedSubscription(t)
			term := s.contract[0].ExpiresAt
			s.plan("professional", term)
			s.meanwhile(func() {
				s.plan("standard", term)
				if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
					t.Error(err)
				}
			})
			if err := decide(t, s); err != nil {
				t.Fatal(err)
			}
			s.standsAt(t, domain.PlanStandard, domain.StatusActive)
		})
	}
}

// AWS goes from one plan to another and back. The answer in between is slow, and whoever followed the newer one found nothing to
// change: nobody has changed the state that the slow answer is decided on.
func TestStaleAnswerIsNotFollowedWhenNobodyChangedAnything(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	term := s.contract[0].ExpiresAt
	s.plan("professional", term)
	s.meanwhile(func() {
		s.plan("starter", term)
		if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
			t.Error(err)
		}
	})
	if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
		t.Fatal(err)
	}
	s.standsAt(t, domain.PlanStarter, domain.StatusActive)
}

// A plan that is changed while the buyer registers for the first time: its message finds no subscription yet.
func TestUpgradeDuringRegistrationIsFollowed(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	log := memorystore.New(time.Now)
	term := s.contract[0].ExpiresAt
	s.meanwhile(func() { s.plan("standard", term) })
	buyer, err := register(t, log, &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence}}, "", "token")
	if err != nil || buyer.Subscription.Plan != domain.PlanStandard || buyer.Position == 0 {
		t.Errorf("the buyer is on %s at %d, %v; AWS lists standard", buyer.Subscription.Plan, buyer.Position, err)
	}
}

// A cancelled subscription whose entitlement has not gone yet stays cancelled: whatever AWS answered, or answers, about it.
func TestCancelledSubscriptionStaysCancelled(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(*testing.T, *syncedSubscription){
		"the comparison": func(t *testing.T, s *syncedSubscription) {
			if err := s.ReconcileEntitlements(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"an older message": func(t *testing.T, s *syncedSubscription) {
			message := updated
			message.NotificationID, message.HappenedAt = "n-old", s.now.Add(-time.Hour)
			if err := s.follow(t, domain.EntitlementChanged, message); err != nil {
				t.Error(err)
			}
		},
		"a newer message of the cancelled agreement": func(t *testing.T, s *syncedSubscription) {
			message := updated
			message.NotificationID, message.HappenedAt = "n-new", s.now.Add(time.Second)
			if err := s.follow(t, domain.EntitlementChanged, message); err != nil {
				t.Error(err)
			}
		},
		"the buyer who returns": func(t *testing.T, s *syncedSubscription) {
			_, _ = register(t, s.store, &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence}}, "", "token")
		},
		"a repeated start": func(t *testing.T, s *syncedSubscription) {
			_, _ = subscriptions.Commands{Executor: s.Executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
				By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence},
				Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: s.contract[0].ExpiresAt},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSyncedSubscription(t)
			s.happens(t, domain.UnsubscribeRequested{SubscriptionID: s.serving[0], RequestedAt: s.now})
			decide(t, s)
			s.standsAt(t, domain.PlanStarter, domain.StatusEnding)
			s.happens(t, domain.SubscriptionEnded{SubscriptionID: s.serving[0], EndedAt: s.now})
			decide(t, s)
			s.standsAt(t, domain.PlanStarter, domain.StatusEnded)
		})
	}
}

// The same while the end becomes known: AWS has answered before it.
func TestEndAnnouncedMeanwhileStands(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(*testing.T, *syncedSubscription) error{
		"comparison": func(t *testing.T, s *syncedSubscription) error { return s.ReconcileEntitlements(t.Context()) },
		"message": func(t *testing.T, s *syncedSubscription) error {
			return s.followNew(t, domain.EntitlementChanged, updated)
		},
		"reread": func(t *testing.T, s *syncedSubscription) error { return s.RereadEntitlement(t.Context(), s.serving[0]) },
		"a buyer who returns": func(t *testing.T, s *syncedSubscription) error {
			_, err := register(t, s.store, &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence}}, "", "token")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSyncedSubscription(t)
			term := s.contract[0].ExpiresAt
			s.plan("starter", term.AddDate(0, 1, 0)) // renewed, and cancelled right after
			s.meanwhile(func() {
				s.plan("starter", term)
				s.happens(t, domain.UnsubscribeRequested{SubscriptionID: s.serving[0], RequestedAt: s.now})
			})
			if err := decide(t, s); err != nil {
				t.Fatal(err)
			}
			s.standsAt(t, domain.PlanStarter, domain.StatusEnding)
		})
	}
}

// One node follows however many copies of a message; the others find it done.
func TestMessagesOfOneChangeRecordItOnce(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.plan("standard", s.contract[0].ExpiresAt)
	for range 3 {
		if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
			t.Fatal(err)
		}
	}
	if got := commandstest.Types(t, s.store, domain.SubscriptionStream(s.serving[0])); len(got) != 2 {
		t.Errorf("the subscription went through %v", got)
	}
}

// An AWS that answers differently each time is not asked for ever.
func TestAnswersThatNeverSettle(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	term, asked := s.contract[0].ExpiresAt, 0
	s.asked = func() {
		asked++
		s.plan([]string{"standard", "starter"}[asked%2], term)
	}
	s.plan("standard", term)
	if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil || asked != 5 {
		t.Errorf("AWS was asked %d times, %v", asked, err)
	}
	buyer, err := register(t, s.store, &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence}}, "", "token")
	if err != nil || buyer.Position == 0 || asked != 10 {
		t.Errorf("AWS was asked %d times, position %d, %v", asked, buyer.Position, err)
	}
}

// AWS fails right after the start was recorded: the buyer goes on, and the comparison looks again.
func TestBuyerStartsThoughAWSFailsThen(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	log := memorystore.New(time.Now)
	s.asked = func() { s.failure = errors.New("AWS is down") }
	buyer, err := register(t, log, &seller{asked: s, identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: testLicence}}, "", "token")
	if err != nil || buyer.Subscription.Status != domain.StatusActive || buyer.Position == 0 {
		t.Errorf("%+v, %v", buyer, err)
	}
}
