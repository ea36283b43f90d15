package subscriptions_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
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
	asked    func() // called while AWS answers; may be nil
	serving  []uuid.UUID
	gaps     *rememberedGaps
	barrier  commandstest.Barrier
	ended    int
}

// rememberedGaps outlive the process that compares.
type rememberedGaps struct {
	gaps    map[uuid.UUID]domain.EntitlementGap
	problem string
	at      time.Time
}

// Gaps implements subscriptions.EntitlementGaps.
func (g *rememberedGaps) Gaps(context.Context) (map[uuid.UUID]domain.EntitlementGap, error) {
	return maps.Clone(g.gaps), nil
}

// Remember implements subscriptions.EntitlementGaps.
func (g *rememberedGaps) Remember(_ context.Context, gaps map[uuid.UUID]domain.EntitlementGap, problem string, at time.Time) error {
	g.gaps, g.problem, g.at = maps.Clone(gaps), problem, at
	return nil
}

// LastComparison implements subscriptions.EntitlementGaps.
func (g *rememberedGaps) LastComparison(context.Context) (time.Time, error) { return g.at, nil }

const testLicence = "arn:aws:license-manager:us-east-1:294406891311:license:l-synced"

// Entitlements implements subscriptions.EntitlementSource.
func (s *syncedSubscription) Entitlements(context.Context, domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	contract, failure := s.contract, s.failure
	if s.asked != nil {
		s.asked()
	}
	return contract, failure
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

// Scheduled implements subscriptions.SubscriptionDirectory.
func (s *syncedSubscription) Scheduled(context.Context) ([]uuid.UUID, error) { return s.serving, nil }

func newSyncedSubscription(t *testing.T) *syncedSubscription {
	t.Helper()
	s := &syncedSubscription{
		now:      time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC),
		contract: []domain.ContractEntitlement{{Dimension: "starter", Quantity: 1, ExpiresAt: time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC)}},
	}
	clock := func() time.Time { return s.now }
	s.store, s.gaps = memorystore.New(clock), &rememberedGaps{}
	executor := commands.Executor{Store: s.store, Now: clock}
	var err error
	s.EntitlementSync, err = subscriptions.NewEntitlementSync(subscriptions.EntitlementSyncConfig{
		Executor: executor, Catalogue: domain.DefaultCatalogue(), Log: slog.New(slog.DiscardHandler), Source: s, Directory: s, Gaps: s.gaps, Barrier: &s.barrier,
		Bound: domain.EndingBound{Subscriptions: 3, Percent: 1}, Ended: func() { s.ended++ },
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

// AWS takes the usage of the open hour for an hour only: an announced end ends, whether AWS still lists the entitlement or
// cannot be asked, and its message is done with at once.
func TestAnnouncedEndEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    domain.MarketplaceEventKind
		message domain.MarketplaceNotified
		change  func(*syncedSubscription)
	}{
		"licence, still listed":   {domain.LicenceEnded, ofLicence, func(*syncedSubscription) {}},
		"licence, not listed":     {domain.LicenceEnded, ofLicence, func(s *syncedSubscription) { s.contract = nil }},
		"licence, AWS is down":    {domain.LicenceEnded, ofLicence, func(s *syncedSubscription) { s.failure = errors.New("AWS is down") }},
		"agreement, still listed": {domain.AgreementEnding, ofAgreement, func(*syncedSubscription) {}},
		"agreement, AWS is down":  {domain.AgreementEnding, ofAgreement, func(s *syncedSubscription) { s.failure = errors.New("AWS is down") }},
	} {
		s := newSyncedSubscription(t)
		c.change(s)
		if err := s.followNew(t, c.kind, c.message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.followNew(t, c.kind, c.message); err != nil {
			t.Errorf("%s, told again: %v", name, err)
		}
		s.wants(t, "SubscriptionEnded")
		s.restart(t)
		s.contract, s.failure = nil, nil
		s.compare(t, 2) // what has ended is passed over
		if s.ended != 1 {
			t.Errorf("%s: metering was told of %d ends", name, s.ended)
		}
	}
}

var ofAgreement = domain.MarketplaceNotified{AgreementID: "agmt-1", AWSAccountID: "1", Type: "Purchase Agreement Ended", AgreementStatus: "CANCELLED"}

// A buyer who subscribes anew, before or after we learn of the end, is served.
func TestBuyerWhoComesBackIsServed(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	if err := s.followNew(t, domain.LicenceEnded, ofLicence); err != nil {
		t.Error(err)
	}
	s.now = s.now.Add(20 * time.Minute)
	updated := domain.MarketplaceNotified{LicenseID: "l-synced", AgreementID: "agmt-1", Type: "License Updated"}
	if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
		t.Error(err)
	}
	s.wants(t, "SubscriptionEnded")
	updated.AgreementID = "agmt-2"
	if err := s.followNew(t, domain.EntitlementChanged, updated); err != nil {
		t.Error(err)
	}
	s.wants(t, "SubscriptionEnded", "SubscriptionReinstated", "AgreementLinked")
	old := ofAgreement
	old.NotificationID, old.HappenedAt = "n-old", s.now.Add(time.Hour)
	if err := s.follow(t, domain.AgreementEnding, old); err != nil {
		t.Error(err)
	}
	s.wants(t, "SubscriptionEnded", "SubscriptionReinstated", "AgreementLinked")
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
		"memory":    func(c *subscriptions.EntitlementSyncConfig) { c.Gaps = nil },
		"barrier":   func(c *subscriptions.EntitlementSyncConfig) { c.Barrier = nil },
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

// A message that names no licence comes again until the directory knows who had registered before it, also when it was kept before.
func TestMessageWaitsForTheDirectory(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	known := directory{by: "agreement agmt-1", id: s.serving[0]}
	s.Directory, s.barrier.Err = directory{}, errors.New("behind")
	amended := domain.MarketplaceNotified{NotificationID: "n-1", AgreementID: "agmt-1", Type: "Purchase Agreement Amended"}
	s.contract[0].Dimension = "standard"
	for range 2 {
		if err := s.follow(t, domain.EntitlementChanged, amended); !errors.Is(err, s.barrier.Err) {
			t.Errorf("the message is done with: %v", err)
		}
	}
	s.Directory, s.barrier.Err = known, nil
	if err := s.follow(t, domain.EntitlementChanged, amended); err != nil {
		t.Fatal(err)
	}
	s.wants(t, "PlanChanged")
	kept, _, err := s.store.ReadLast(t.Context(), amended.Stream())
	if waited := s.barrier.Waited(subscriptions.DirectoryReadModel); err != nil || waited == 0 || waited != kept.Position {
		t.Errorf("waited for position %d, and the message stands at %d: %v", waited, kept.Position, err)
	}
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

// Messages that name a customer alone are read together: an end that comes late does not end what has begun anew since.
func TestEndOfACustomerThatComesLate(t *testing.T) {
	t.Parallel()
	for began, want := range map[time.Duration][]string{-time.Minute: {"SubscriptionEnded"}, time.Minute: nil} {
		s := newSyncedSubscription(t)
		s.Directory = directory{by: "customer c", id: s.serving[0]}
		for _, told := range []struct {
			kind domain.MarketplaceEventKind
			domain.MarketplaceNotified
		}{
			{domain.NothingChanged, domain.MarketplaceNotified{NotificationID: "n-1", Type: "subscribe-success", HappenedAt: s.now.Add(began)}},
			{domain.LicenceEnded, domain.MarketplaceNotified{NotificationID: "n-2", Type: "unsubscribe-success", HappenedAt: s.now}},
		} {
			told.CustomerIdentifier = "c"
			if err := s.follow(t, told.kind, told.MarketplaceNotified); err != nil {
				t.Error(err)
			}
		}
		s.wants(t, want...)
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

// What AWS lists of all licences is a hint: a licence is asked for alone where its list would change anything, and what is then
// answered counts.
func TestReconcileAsksWhereTheListDiffers(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	list := func(licence, plan string) subscriptions.LicensedEntitlement {
		return subscriptions.LicensedEntitlement{
			Identity: domain.MarketplaceIdentity{LicenseARN: licence}, ContractEntitlement: domain.ContractEntitlement{Dimension: plan, Quantity: 1},
		}
	}
	asked := 0
	s.asked = func() { asked++ }
	s.listed = []subscriptions.LicensedEntitlement{list(testLicence, "starter"), list("l-other", "business")}
	if err := s.ReconcileEntitlements(t.Context()); err != nil || asked != 0 {
		t.Errorf("AWS was asked %d times about what does not differ, %v", asked, err)
	}
	s.listed[0] = list(testLicence, "standard")
	if err := s.ReconcileEntitlements(t.Context()); err != nil || asked == 0 {
		t.Errorf("AWS was asked %d times about what differs, %v", asked, err)
	}
	s.wants(t)
	s.contract[0].Dimension = "standard"
	if err := s.ReconcileEntitlements(t.Context()); err != nil {
		t.Error(err)
	}
	s.wants(t, "PlanChanged")
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
	s.contract[0].Dimension = "standard"
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
	var log commandstest.Lines
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	reread := func(want error, events ...string) {
		t.Helper()
		defer func(before int) {
			told := strings.Count(log.String(), "AWS lists no entitlement") - before
			if (told == 1) != (s.contract == nil && s.failure == nil) {
				t.Errorf("an operator is told %d times: %s", told, log.String())
			}
		}(strings.Count(log.String(), "AWS lists no entitlement"))
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

type turns struct{}

// Hold implements commands.Lease: nobody else asks for it.
func (turns) Hold(ctx context.Context, work func(ctx context.Context) error) error { return work(ctx) }

// The comparison runs every half hour, whether it succeeds or not.
func TestRunComparesOnATimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSyncedSubscription(t)
		s.Now = time.Now
		var complaints commandstest.Lines
		s.Log = slog.New(slog.NewTextHandler(&complaints, &slog.HandlerOptions{Level: slog.LevelError}))
		var asked atomic.Int64
		s.asked = func() {
			if asked.Add(1) == 1 {
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
			if got, text := asked.Load(), complaints.String(); got != c.want || int64(strings.Count(text, "\n")) != max(0, c.want-1) {
				t.Errorf("step %d: AWS was asked %d times, want %d; %s", i, got, c.want, text)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
