package subscriptions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// seller is AWS Marketplace as registration sees it, with one buyer.
type seller struct {
	identity   domain.MarketplaceIdentity
	contract   []domain.ContractEntitlement
	unresolved error
	unlisted   error
	asked      *syncedSubscription // lists what AWS says there, when there is one
}

// ResolveBuyer implements subscriptions.Marketplace.
func (s *seller) ResolveBuyer(context.Context, string) (domain.MarketplaceIdentity, error) {
	return s.identity, s.unresolved
}

// Entitlements implements subscriptions.Marketplace.
func (s *seller) Entitlements(ctx context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	if s.asked != nil {
		return s.asked.Entitlements(ctx, identity)
	}
	return s.contract, s.unlisted
}

func newSeller() *seller {
	return &seller{
		identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: testLicence, ProductCode: "ours"},
		contract: []domain.ContractEntitlement{{Dimension: "starter", Quantity: 1}},
	}
}

func register(t *testing.T, store commands.EventStore, market *seller, productCode, token string) (subscriptions.Buyer, error) {
	t.Helper()
	registration := subscriptions.Registration{Commands: on(store), Catalogue: domain.DefaultCatalogue(), Marketplace: market, ProductCode: productCode}
	return registration.RegisterBuyer(t.Context(), subscriptions.RegisterBuyer{By: commands.NewOrigin(domain.ActorBuyer), Token: token})
}

func TestRegisterBuyer(t *testing.T) {
	t.Parallel()
	down := errors.New("no route to host")
	for name, c := range map[string]struct {
		change  func(*seller)
		token   string
		product string
		refused error
	}{
		"buys":                      {func(*seller) {}, "token", "ours", nil},
		"any product":               {func(*seller) {}, "token", "", nil},
		"the longest token":         {func(*seller) {}, strings.Repeat("x", 8<<10), "ours", nil},
		"a longer token":            {func(*seller) {}, strings.Repeat("x", 8<<10+1), "ours", subscriptions.ErrTokenInvalid},
		"no token":                  {func(*seller) {}, "", "ours", subscriptions.ErrTokenInvalid},
		"an old token":              {func(s *seller) { s.unresolved = subscriptions.ErrTokenExpired }, "token", "ours", subscriptions.ErrTokenExpired},
		"AWS is down":               {func(s *seller) { s.unresolved = down }, "token", "ours", subscriptions.ErrMarketplaceUnavailable},
		"AWS is down after that":    {func(s *seller) { s.unlisted = down }, "token", "ours", subscriptions.ErrMarketplaceUnavailable},
		"the buyer has left":        {func(s *seller) { s.unresolved = context.Canceled }, "token", "ours", context.Canceled},
		"another product":           {func(*seller) {}, "token", "theirs", subscriptions.ErrForeignProduct},
		"an answer without account": {func(s *seller) { s.identity.AWSAccountID = "" }, "token", "ours", subscriptions.ErrMarketplaceUnavailable},
		"an answer without licence": {func(s *seller) { s.identity.LicenseARN = "" }, "token", "ours", subscriptions.ErrMarketplaceUnavailable},
		"no contract yet":           {func(s *seller) { s.contract = nil }, "token", "ours", subscriptions.ErrNoEntitlement},
		"an unknown plan":           {func(s *seller) { s.contract[0].Dimension = "platinum" }, "token", "ours", &domain.Error{Code: "unknown_plan"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, market := memorystore.New(time.Now), newSeller()
			c.change(market)
			buyer, err := register(t, log, market, c.product, c.token)
			if !errors.Is(err, c.refused) {
				t.Errorf("got %v, want %v", err, c.refused)
			}
			refusal := (*domain.Error)(nil)
			if errors.As(err, &refusal) && refusal.Kind == domain.KindUnavailable && refusal.RetryAfter < time.Second {
				t.Errorf("to be tried again after %v", refusal.RetryAfter)
			}
			stream := domain.SubscriptionStream(domain.SubscriptionIDForLicence(testLicence))
			if got := commandstest.Types(t, log, stream); (len(got) == 1) != (c.refused == nil) {
				t.Errorf("the subscription went through %v", got)
			}
			if c.refused == nil && (buyer.Subscription.Limit != 1000 || buyer.CustomerID != buyer.Subscription.CustomerID || buyer.Position == 0 || buyer.Registered || buyer.Active) {
				t.Errorf("buyer %+v", buyer)
			}
		})
	}
}

// A buyer who comes back is recognised, and a plan that AWS states anew is followed.
func TestReturningBuyer(t *testing.T) {
	t.Parallel()
	log, market := memorystore.New(time.Now), newSeller()
	visit := func(want subscriptions.Buyer, limit int64) {
		t.Helper()
		buyer, err := register(t, log, market, "", "token")
		if err != nil || buyer.Registered != want.Registered || buyer.Active != want.Active || buyer.Erased != want.Erased || buyer.Subscription.Limit != limit {
			t.Errorf("%+v, %v; want %+v with %d calls", buyer, err, want, limit)
		}
	}
	visit(subscriptions.Buyer{}, 1000)
	buyer, err := register(t, log, market, "", "token")
	if err != nil || buyer.Position != 0 {
		t.Errorf("nothing new gives position %d, %v", buyer.Position, err)
	}
	id, account := buyer.CustomerID, domain.AccountStream(buyer.CustomerID)
	appendTo := func(stream string, expected int64, event domain.Event) {
		t.Helper()
		if _, err := log.Append(t.Context(), stream, expected, []commands.Proposed{{ID: uuid.New(), Event: event}}); err != nil {
			t.Fatal(err)
		}
	}
	happen := func(expected int64, event domain.Event) { t.Helper(); appendTo(account, expected, event) }
	happen(commands.NoStream, domain.AccountRegistered{CustomerID: id})
	visit(subscriptions.Buyer{Registered: true}, 1000)
	happen(0, domain.AccountActivated{CustomerID: id})
	visit(subscriptions.Buyer{Registered: true, Active: true}, 1000)
	happen(1, domain.PersonalDataErased{CustomerID: id})
	market.contract[0].Dimension = "standard"
	visit(subscriptions.Buyer{Registered: true, Erased: true}, 5000)
	people := domain.MembersStream(id)
	appendTo(people, commands.NoStream, domain.MemberJoined{CustomerID: id, AccountID: uuid.New(), Role: domain.RoleOwner, InvitationID: uuid.New()})
	visit(subscriptions.Buyer{Registered: true, Active: true}, 5000)
	appendTo(people, 0, domain.CustomerErased{CustomerID: id})
	visit(subscriptions.Buyer{Registered: true, Erased: true}, 5000)
}

// A licence that has ended is sold anew under another one.
func TestEndedSubscriptionIsNotStarted(t *testing.T) {
	t.Parallel()
	log := memorystore.New(time.Now)
	buyer, err := register(t, log, newSeller(), "", "token")
	if err != nil {
		t.Fatal(err)
	}
	_, err = log.Append(t.Context(), domain.SubscriptionStream(buyer.Subscription.ID), 0, []commands.Proposed{
		{ID: uuid.New(), Event: domain.SubscriptionEnded{SubscriptionID: buyer.Subscription.ID, EndedAt: time.Now()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := register(t, log, newSeller(), "", "token"); !errors.Is(err, domain.ErrSubscriptionInactive) {
		t.Errorf("got %v", err)
	}
}

// A registration names the licence alone: the agreement comes from a message, before it or after.
func TestAgreementOfAMessageIsLinked(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		log := memorystore.New(time.Now)
		told := func() {
			_, err := log.Append(t.Context(), domain.NotificationStream("l-synced"), commands.NoStream, []commands.Proposed{
				{ID: uuid.New(), Event: domain.MarketplaceNotified{NotificationID: "n-1", LicenseID: "l-synced", AgreementID: "agmt-7"}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if first {
			told()
		}
		buyer, err := register(t, log, newSeller(), "", "token")
		if err == nil && !first {
			told()
			buyer, err = register(t, log, newSeller(), "", "token")
		}
		if err != nil || buyer.Subscription.Marketplace.AgreementID != "agmt-7" {
			t.Errorf("told first: %t: %+v, %v", first, buyer.Subscription.Marketplace, err)
		}
	}
}

func TestRegistrationWithoutALog(t *testing.T) {
	t.Parallel()
	log := memorystore.New(time.Now)
	for _, part := range []string{"marketplace-", "subscription-", "account-"} {
		log.Inject(func(o memorystore.Operation) memorystore.Fault {
			if o.Kind != memorystore.Append && strings.HasPrefix(o.Stream, part) {
				return memorystore.UnavailableBefore
			}
			return memorystore.None
		})
		if _, err := register(t, log, newSeller(), "", "token"); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("without %s…: %v", part, err)
		}
	}
}
