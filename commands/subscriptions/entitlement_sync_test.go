package subscriptions_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
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
	listed   []subscriptions.LicensedEntitlement // what AWS lists of all licences
	unlisted error
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
func (s *syncedSubscription) AllEntitlements(context.Context) ([]subscriptions.LicensedEntitlement, error) {
	return s.listed, s.unlisted
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
	if s.ended != 0 {
		t.Error("metering was told of an end that is not yet")
	}
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

func TestEntitlementSyncConfigIsComplete(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*subscriptions.EntitlementSyncConfig){
		"store": func(c *subscriptions.EntitlementSyncConfig) { c.Store = nil }, "clock": func(c *subscriptions.EntitlementSyncConfig) { c.Now = nil },
		"catalogue": func(c *subscriptions.EntitlementSyncConfig) { c.Catalogue = domain.Catalogue{} },
		"log":       func(c *subscriptions.EntitlementSyncConfig) { c.Log = nil }, "source": func(c *subscriptions.EntitlementSyncConfig) { c.Source = nil },
		"directory": func(c *subscriptions.EntitlementSyncConfig) { c.Directory = nil },
	} {
		config := newSyncedSubscription(t).EntitlementSyncConfig
		change(&config)
		if _, err := subscriptions.NewEntitlementSync(config); err == nil {
			t.Errorf("without a %s the sync starts", name)
		}
	}
}

// directory finds one subscription by one name alone.
type directory struct {
	subscriptions.SubscriptionDirectory
	by     string
	id     uuid.UUID
	broken error
}

func (d directory) find(by string) ([]uuid.UUID, error) {
	if d.by != by {
		return nil, nil
	}
	return []uuid.UUID{d.id}, d.broken
}

func (d directory) ByCustomerIdentifier(_ context.Context, name string) ([]uuid.UUID, error) {
	return d.find("customer " + name)
}

func (d directory) ByAgreement(_ context.Context, name string) ([]uuid.UUID, error) {
	return d.find("agreement " + name)
}

func (d directory) ByAWSAccount(_ context.Context, name string) ([]uuid.UUID, error) {
	return d.find("account " + name)
}

// A message finds the subscription by whichever name it has.
func TestMessageFindsItsSubscription(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by      string
		message domain.MarketplaceNotified
		found   bool
	}{
		"licence":                    {"", domain.MarketplaceNotified{LicenseID: "l-synced", AgreementID: "agmt-1"}, true},
		"another licence":            {"account 1", domain.MarketplaceNotified{LicenseID: "l-other", AWSAccountID: "1"}, false},
		"customer":                   {"customer c", domain.MarketplaceNotified{CustomerIdentifier: "c"}, true},
		"agreement":                  {"agreement agmt-1", domain.MarketplaceNotified{AgreementID: "agmt-1", AWSAccountID: "1"}, true},
		"account of a new agreement": {"account 1", domain.MarketplaceNotified{AgreementID: "agmt-2", AWSAccountID: "1"}, true},
		"nothing":                    {"account 1", domain.MarketplaceNotified{AgreementID: "agmt-2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSyncedSubscription(t)
			s.Directory = directory{by: c.by, id: s.serving[0]}
			s.contract[0].Dimension = "standard"
			c.message.NotificationID, c.message.HappenedAt = "n-1", s.now
			if err := s.Receive(t.Context(), domain.MarketplaceEvent{Kind: domain.EntitlementChanged, Message: c.message}); err != nil {
				t.Error(err)
			}
			if c.found {
				s.wants(t, "PlanChanged")
			} else {
				s.wants(t)
			}
		})
	}
	s := newSyncedSubscription(t)
	s.Directory = directory{by: "account 1", broken: errors.New("no database")}
	err := s.Receive(t.Context(), domain.MarketplaceEvent{Kind: domain.EntitlementChanged, Message: domain.MarketplaceNotified{NotificationID: "n-1", AWSAccountID: "1"}})
	if err == nil {
		t.Error("a message that could not be followed is done with")
	}
}

// What changes nothing is kept and AWS is not asked; what is about another product is not even kept.
func TestMessagesThatChangeNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    domain.MarketplaceEventKind
		product string
		kept    int
		asked   bool
	}{
		"our product": {domain.EntitlementChanged, "ours", 1, true}, "no product named": {domain.EntitlementChanged, "", 1, true},
		"another product": {domain.EntitlementChanged, "theirs", 0, false}, "a refused purchase": {domain.PurchaseRefused, "ours", 1, false},
		"news": {domain.NothingChanged, "ours", 1, false},
	} {
		s := newSyncedSubscription(t)
		s.ProductCode = "ours"
		asked := false
		s.asked = func() { asked = true }
		if err := s.follow(t, c.kind, domain.MarketplaceNotified{NotificationID: "n-1", LicenseID: "l-synced", ProductCode: c.product, HappenedAt: s.now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if kept := commandstest.Types(t, s.store, domain.NotificationStream("l-synced")); len(kept) != c.kept || asked != c.asked {
			t.Errorf("%s: kept %v, AWS was asked: %t", name, kept, asked)
		}
	}
}

// What AWS lists of all licences is followed, each licence with its own; who is not listed is asked for alone.
func TestReconcileFollowsTheList(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	list := func(licence, plan string) subscriptions.LicensedEntitlement {
		return subscriptions.LicensedEntitlement{
			Identity: domain.MarketplaceIdentity{LicenseARN: licence}, ContractEntitlement: domain.ContractEntitlement{Dimension: plan, Quantity: 1},
		}
	}
	s.listed = []subscriptions.LicensedEntitlement{list(testLicence, "starter"), list("l-other", "business"), list(testLicence, "standard")}
	asked := 0
	s.asked = func() { asked++ }
	if err := s.ReconcileEntitlements(t.Context()); err != nil {
		t.Error(err)
	}
	s.wants(t, "PlanChanged")
	changed, err := subscriptions.Commands{Executor: s.Executor}.Subscription(t.Context(), s.serving[0])
	if err != nil || changed.Limit != 5000 || asked != 0 {
		t.Errorf("%d calls, %v; AWS was asked %d times", changed.Limit, err, asked)
	}
}

// One subscription that cannot be compared holds no other, and is told of; what has ended or is unknown is passed over.
func TestReconcileGoesOn(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	good := s.serving[0]
	bad, err := subscriptions.Commands{Executor: s.Executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "2", LicenseARN: "l-bad"},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.serving = []uuid.UUID{uuid.New(), bad.State.ID, good}
	s.listed = []subscriptions.LicensedEntitlement{
		{Identity: domain.MarketplaceIdentity{LicenseARN: "l-bad"}, ContractEntitlement: domain.ContractEntitlement{Dimension: "platinum"}},
		{Identity: domain.MarketplaceIdentity{LicenseARN: testLicence}, ContractEntitlement: domain.ContractEntitlement{Dimension: "standard"}},
	}
	if err := s.ReconcileEntitlements(t.Context()); !errors.Is(err, &domain.Error{Code: "unknown_plan"}) {
		t.Errorf("got %v", err)
	}
	s.serving[0] = good
	s.wants(t, "PlanChanged")
	s.unlisted = errors.New("AWS is down")
	if err := s.ReconcileEntitlements(t.Context()); !errors.Is(err, s.unlisted) {
		t.Errorf("without a list: %v", err)
	}
	s.unlisted = nil
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.ReconcileEntitlements(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// A reread follows what AWS says, and ends nothing.
func TestReread(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	id := s.serving[0]
	reread := func(want error, events ...string) {
		t.Helper()
		if err := s.RereadEntitlement(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		s.wants(t, events...)
	}
	reread(nil)
	s.contract[0].Dimension = "standard"
	reread(nil, "PlanChanged")
	s.contract = nil
	reread(nil, "PlanChanged")
	reread(nil, "PlanChanged")
	s.failure = errors.New("AWS is down")
	reread(s.failure, "PlanChanged")
	if err := s.RereadEntitlement(t.Context(), uuid.New()); err != nil {
		t.Errorf("of nobody: %v", err)
	}
}

// lockedBuffer takes a log that is read while it is written.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

type turns struct{}

// Hold implements commands.Lease: nobody else asks for it.
func (turns) Hold(ctx context.Context, work func(ctx context.Context) error) error { return work(ctx) }

// The comparison runs every half hour, whether it succeeds or not.
func TestRunComparesOnATimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSyncedSubscription(t)
		var complaints lockedBuffer
		s.Log = slog.New(slog.NewTextHandler(&complaints, &slog.HandlerOptions{Level: slog.LevelError}))
		var asked atomic.Int64
		s.asked = func() {
			if asked.Add(1) == 2 {
				s.failure = errors.New("AWS is down")
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, turns{}) }()
		for i, c := range []struct {
			wait time.Duration
			want int64
		}{{30*time.Minute - 1, 0}, {1, 1}, {30 * time.Minute, 2}} {
			time.Sleep(c.wait) //nolint:forbidigo // the bubble's time
			synctest.Wait()
			if got, text := asked.Load(), complaints.text(); got != c.want || int64(strings.Count(text, "\n")) != max(0, c.want-1) {
				t.Errorf("step %d: AWS was asked %d times, want %d; %s", i, got, c.want, text)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
