package main

import (
	"context"
	"sync"

	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// slowSource is AWS whose answers arrive late: between an answer and its arrival, something happens once.
type slowSource struct {
	*marketplace.Client
	mu      sync.Mutex
	between func()
}

func (s *slowSource) answered() {
	s.mu.Lock()
	between := s.between
	s.between = nil
	s.mu.Unlock()
	if between != nil {
		between()
	}
}

// Entitlements implements subscriptions.EntitlementSource.
func (s *slowSource) Entitlements(ctx context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	defer s.answered()
	return s.Client.Entitlements(ctx, identity)
}

// AllEntitlements implements subscriptions.EntitlementSource.
func (s *slowSource) AllEntitlements(ctx context.Context) ([]subscriptions.LicensedEntitlement, error) {
	defer s.answered()
	return s.Client.AllEntitlements(ctx)
}

// races are those of a month, by what loses.
type races struct {
	comparisons, consumers, buyers, concurrent int
	dark                                       int // comparisons without an answer
}

func (r races) all() int { return r.comparisons + r.consumers + r.buyers + r.concurrent }

// race lets a customer change the plan while somebody else acts on an answer of AWS from before, and calls go on. Whoever is slow,
// the subscription has the plan that AWS lists in the end, and no call is counted under another one.
func (m *monthRun) race() {
	m.t.Helper()
	c := m.customers[m.random.IntN(len(m.customers))]
	if c.ended {
		return
	}
	m.settle()
	to := map[domain.PlanID]domain.PlanID{domain.PlanStarter: domain.PlanStandard, domain.PlanStandard: domain.PlanStarter}[c.subscription.Plan]
	change := func() {
		agreement, err := m.sim.ChangePlan(m.t.Context(), c.agreement.ID, string(to), 0)
		m.must(err)
		c.agreement = agreement
		messages, err := m.sim.Events(m.t.Context(), 2)
		m.must(err)
		for _, message := range messages { // newest first: in the wrong order
			m.must(take(m.t, m.reporting(), message.Body))
		}
	}
	slow := &slowSource{Client: m.buying, between: change}
	switch m.races.all() % 4 {
	case 0: // the list is old when its last licence comes up
		m.races.comparisons++
		m.must(m.reportingFrom(slow).sync.ReconcileEntitlements(m.t.Context()))
	case 1: // two consumers
		m.races.consumers++
		message, err := m.sim.Events(m.t.Context(), 1000)
		m.must(err)
		for _, e := range message {
			if e.Agreement == c.agreement.ID {
				m.must(take(m.t, m.reportingFrom(slow), e.Body))
				break
			}
		}
		slow.answered() // when that message was of no use
	case 2: // the buyer returns
		m.races.buyers++
		token, err := m.sim.Token(m.t.Context(), c.agreement.ID)
		m.must(err)
		registration := subscriptions.Registration{
			Commands: m.subscriptions(), Catalogue: m.catalogue, Marketplace: slowMarketplace{slow}, ProductCode: devProductCode,
		}
		_, err = registration.RegisterBuyer(m.t.Context(), subscriptions.RegisterBuyer{By: commands.NewOrigin(domain.ActorBuyer), Token: token})
		m.must(err)
	default: // as it comes
		m.races.concurrent++
		compared := make(chan error, 1)
		go func() { compared <- m.reporting().sync.ReconcileEntitlements(m.t.Context()) }()
		change()
		m.must(<-compared)
	}
	m.follow(c)
	if c.subscription.Plan != to {
		m.t.Errorf("%s has plan %s and AWS lists %s: an older answer has undone the change", c, c.subscription.Plan, to)
	}
	m.check(c, 1+m.random.IntN(3))
}

// slowMarketplace resolves buyers at once.
type slowMarketplace struct{ *slowSource }

// follow reads a customer's subscription anew, as the API does before it counts.
func (m *monthRun) follow(c *meteredCustomer) {
	m.t.Helper()
	subscription, revision, err := commands.Load[domain.Subscription](m.t.Context(), m.store, domain.SubscriptionStream(c.subscription.ID))
	m.must(err)
	c.subscription, c.decidedOn = subscription, uint64(revision)
}

// compareInTheDark compares while AWS refuses connections: nobody ends, and nobody's plan changes.
func (m *monthRun) compareInTheDark() {
	m.t.Helper()
	m.races.dark++
	for _, c := range m.customers {
		m.follow(c)
	}
	if err := m.reporting().sync.ReconcileEntitlements(m.t.Context()); err == nil {
		m.t.Error("a comparison succeeds while AWS refuses connections")
	}
	for _, c := range m.customers {
		before := c.decidedOn
		if m.follow(c); c.decidedOn != before {
			m.t.Errorf("a comparison without an answer changes %s", c)
		}
	}
}
